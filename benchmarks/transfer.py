"""What pretrained weights are worth on real data: each experiment with them and without, on its test split.

    python benchmarks/transfer.py --data DATA --weights WEIGHTS --out RUNS [--quick] [NAME ...]

DATA and WEIGHTS are what configs/ calls DERMTL_DATA and DERMTL_WEIGHTS. Every run is trained, evaluated, exported and
verified, and its exported file is evaluated again. Runs that are there are gone on with. Prints a table, and as its
last line one JSON object with every figure.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

SHOWN = {
    "ham10000": ("diagnosis.balanced_accuracy", "diagnosis.macro_auroc"),
    "ph2": ("diagnosis.balanced_accuracy", "outline.dice", "extent.circle_iou"),
    "bccd": ("cell.detection_rate_50", "cell.circle_iou"),
    "idrid": ("disc.detection_rate_50", "disc.circle_iou"),
}
QUICK = ("-o", "training.stages=[{train: all, epochs: 1, lr: 1e-3}]")


def dermtl(*arguments: str) -> None:
    """Run a command of dermtl; its output goes to standard error."""
    subprocess.run([sys.executable, "-m", "dermtl", *arguments], check=True, stdout=sys.stderr)


def figures(run: Path, where: str) -> dict[str, dict[str, float]]:
    """Head.metric to value, low, high and n."""
    heads = json.loads((run / "evaluation" / where / "metrics.json").read_text())["heads"]
    return {f"{head}.{metric}": figure for head, metrics in heads.items() for metric, figure in metrics.items()}


def experiment(name: str, weights: str, out: Path, options: tuple[str, ...]) -> dict[str, object]:
    """Train, evaluate, export, verify; the figures of the run and of its file."""
    run = out / f"{name}-{weights}"
    if weights == "scratch":
        options += ("-o", "backbone.pretrained=false")
    began = time.perf_counter()
    dermtl("train", f"configs/{name}.yaml", "--run", str(run), "--resume", *options)
    seconds = time.perf_counter() - began
    dermtl("evaluate", str(run))
    dermtl("export", str(run))
    dermtl("evaluate", str(run / "model.onnx"))
    found, exported = figures(run, "test"), figures(run, "model/test")
    gap = max(abs((found[key]["value"] or 0) - (exported[key]["value"] or 0)) for key in SHOWN[name])
    shown = {key: found[key] for key in SHOWN[name]}
    return {"experiment": name, "weights": weights, "seconds": round(seconds), "export_gap": gap, "figures": shown}


def main() -> None:
    """Run the experiments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SHOWN), metavar="NAME", help=", ".join(SHOWN))
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--quick", action="store_true", help="one epoch each: does it run at all?")
    arguments = parser.parse_args()
    os.environ |= {"DERMTL_DATA": arguments.data, "DERMTL_WEIGHTS": arguments.weights}
    results = []
    for name in arguments.names:
        for weights in ("imagenet", "scratch"):
            result = experiment(name, weights, arguments.out, QUICK if arguments.quick else ())
            results.append(result)
            for metric, figure in result["figures"].items():
                interval = f"{figure['low']:.3f} to {figure['high']:.3f}"
                print(
                    f"{name:9} {weights:9} {metric:28} {figure['value']:.3f}  ({interval})  n={figure['n']}", flush=True
                )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
