"""Recipes of transfer learning on ham10000: what they reach on its test split, and what they cost in CPU time.

    python benchmarks/recipes.py --data DATA --weights WEIGHTS --out RUNS [--seeds 0 1 2] [--size 224] [--quick]

DATA and WEIGHTS are what configs/ calls DERMTL_DATA and DERMTL_WEIGHTS. Every recipe is `configs/ham10000.yaml` with
other stages, one thread, the same split; seeds alternate between recipes. Runs that are there are not repeated. Prints
a table, and as its last line one JSON object with every figure.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

METRICS = ("diagnosis.balanced_accuracy", "diagnosis.macro_auroc")
FULL = "{train: all, epochs: 12, lr: 1e-3, backbone_lr: 5e-4, warmup_epochs: 1, layer_decay: 0.85, weight_decay: 0.05}"
SCRATCH = "{train: all, epochs: 12, lr: 2e-3, warmup_epochs: 1, weight_decay: 0.05}"
RECIPES = {
    "full fine-tuning": (f"training.stages=[{FULL}]",),
    "five steps": (
        "training.stages=[{train: head, epochs: 5, lr: 2e-3, views: 2}, "
        "{train: 'last:2', epochs: 12, lr: 1e-3, backbone_lr: 5e-4, views: 4}]",
    ),
    "five steps, new views each epoch": (
        "training.stages=[{train: head, epochs: 3, lr: 2e-3, views: 1}, "
        "{train: 'last:4', epochs: 7, lr: 2e-3, backbone_lr: 1e-3, weight_decay: 0.05}]",
    ),
    "feature extraction": (
        "training.augmentation=none",
        "training.stages=[{train: head, epochs: 40, lr: 2e-3}]",
    ),
    "from scratch": (f"training.stages=[{SCRATCH}]", "backbone.pretrained=false"),
}


def dermtl(*arguments: str) -> float:
    """Run a command of dermtl; its CPU seconds, those of its workers included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "dermtl", *arguments], check=True, stdout=sys.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(recipe: str, seed: int, out: Path, options: list[str]) -> dict[str, float]:
    """Train and evaluate once; the figures and the CPU seconds of training."""
    run = out / f"{recipe.replace(' ', '-').replace(',', '')}-{seed}"
    cost = run / "cpu_seconds"
    if not cost.exists():
        overrides = [*RECIPES[recipe], f"training.seed={seed}", "training.workers=0", *options]
        arguments = [part for override in overrides for part in ("-o", override)]
        seconds = dermtl("train", "configs/ham10000.yaml", "--run", str(run), *arguments)
        dermtl("evaluate", str(run), "--resamples", "100")
        cost.write_text(f"{seconds:.1f}")
    heads = json.loads((run / "evaluation" / "test" / "metrics.json").read_text())["heads"]
    found = {f"{head}.{name}": figure["value"] for head, figures in heads.items() for name, figure in figures.items()}
    return {"cpu_seconds": float(cost.read_text()), **{metric: found[metric] for metric in METRICS}}


def main() -> None:
    """Run all recipes with all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--quick", action="store_true", help="one seed at 32 px: does it run at all?")
    arguments = parser.parse_args()
    os.environ |= {"DERMTL_DATA": arguments.data, "DERMTL_WEIGHTS": arguments.weights, "OMP_NUM_THREADS": "1"}
    options = [f"backbone.image_size={32 if arguments.quick else arguments.size}"]
    results: dict[str, list[dict[str, float]]] = {recipe: [] for recipe in RECIPES}
    for seed in arguments.seeds[: 1 if arguments.quick else None]:
        for recipe in RECIPES:
            results[recipe].append(measure(recipe, seed, arguments.out, options))
            print(recipe, seed, results[recipe][-1], flush=True)
    for recipe, runs in results.items():
        cells = []
        for key in (*METRICS, "cpu_seconds"):
            values = [run[key] for run in runs]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{key} {statistics.mean(values):.3f} +- {spread:.3f}")
        print(f"{recipe:34} {', '.join(cells)}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
