"""Head epochs on cached features of a frozen backbone, against running the backbone in every epoch: CPU time.

    python benchmarks/feature_cache.py [--num 500] [--epochs 10] [--backbone resnet18] [--size 224] [--quick]

Draws pictures and trains a classification head on them as `dermtl train` does, in processes of their own with one
thread: with the cache, without it, and for one epoch, which tells what starting and ending a run costs. Prints a table,
and as its last line one JSON object.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from dermtl.data.synthetic.dataset import synthesise

EXPERIMENT = """\
name: features
data: {{root: {root}, copies: false, split: {{train: 0.8, val: 0.1, test: 0.1}}}}
backbone: {{name: {backbone}, pretrained: false, image_size: {size}}}
heads:
  diagnosis: {{type: classification}}
training:
  augmentation: none
  workers: 0
  early_stopping: null
  stages: [{{train: head, epochs: {epochs}, lr: 1e-3}}]
"""


def seconds(config: Path, run: Path, *overrides: str) -> tuple[float, float]:
    """CPU seconds of a whole `dermtl train`, and the seconds that its epochs took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "dermtl", "train", str(config), "--run", str(run)]
    command += [part for override in overrides for part in ("-o", override)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = (run / "metrics.csv").read_text().splitlines()
    place = lines[0].split(",").index("seconds")
    epochs = sum(float(line.split(",")[place]) for line in lines[1:])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, epochs


def main() -> None:
    """Run all ways once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--quick", action="store_true", help="a tiny network on 60 pictures of 64 px")
    options = parser.parse_args()
    if options.quick:
        options.num, options.epochs, options.backbone, options.size = 60, 3, "test_resnet", 64
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthesise(folder / "data", num=options.num)
        config = folder / "features.yaml"
        shape = {"root": folder / "data", "backbone": options.backbone, "size": options.size, "epochs": options.epochs}
        config.write_text(EXPERIMENT.format(**shape))
        ways = {
            "cached": seconds(config, folder / "cached"),
            "recomputed": seconds(config, folder / "recomputed", "training.feature_cache_mb=0"),
            "one epoch": seconds(config, folder / "one", "training.stages.0.epochs=1"),
        }
    for way, (whole, epochs) in ways.items():
        print(f"{way:12} {whole:8.1f} CPU s in all, {epochs:8.1f} s in epochs")
    whole = ways["recomputed"][0] / ways["cached"][0]
    loop = ways["recomputed"][1] / ways["cached"][1]
    print(json.dumps({"ways": ways, "faster_by_in_all": whole, "faster_by_in_epochs": loop}))


if __name__ == "__main__":
    main()
