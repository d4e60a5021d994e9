"""Training recipes out of fold: the shipped experiments against a plain loop, a linear probe, fastai and timm's script.

    python -m benchmarks.recipes --data DATA --weights WEIGHTS --out OUT [--sets ham10000 busi] [--methods plain probe]
        [--folds 0 1] [--seeds 0 1 2] [--size 128] [--labels-per-class 10] [--variant NAME KEY=VALUE ...] [--quick]

DATA and WEIGHTS are what configs/ calls DERMTL_DATA and DERMTL_WEIGHTS. All methods begin with the same weights file,
train on the same pictures of the same folds at the same size, one thread, and are scored by scikit-learn on the same
test pictures. dermtl chooses weights and thresholds on the fold's validation pictures; timm's script its epoch; the
others leave them alone (`plain+val` trains on them). `dermtl` is the experiment as shipped; `--variant` adds it with
other keys.

A result that is there is not repeated; remove its folder below OUT/results to measure again. A method that fails is
named at the end, and the others go on; the exit code is then 1. `--summary` runs nothing and prints what is there.
Prints a table, and as its last line one JSON object with every figure.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.recipes import folds, methods, store
from benchmarks.recipes.datasets import SETS, DataSet, Picture, read_pictures
from benchmarks.recipes.environment import installed
from benchmarks.recipes.experiment import QUICK
from benchmarks.recipes.methods import METHODS, REFERENCE, Setting
from benchmarks.recipes.store import Key
from benchmarks.recipes.summary import lines, summarise
from benchmarks.recipes.task import Task

QUICK_SETS = ("busi", "ph2")
QUICK_SIZE = 32


def parse() -> argparse.Namespace:
    """The command line; --quick sets what was left open."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recipes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--sets", nargs="+", choices=SETS)
    parser.add_argument("--methods", nargs="*", choices=METHODS, help="default: all; --quick installs no fastai")
    parser.add_argument("--folds", nargs="+", type=int, help="which folds; default: all of the set")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: 0")
    parser.add_argument("--size", type=int, help="side of the picture in pixels; default: that of the experiment")
    parser.add_argument("--labels-per-class", type=int, help="train on so many pictures a class; a fifth validates")
    parser.add_argument("--variant", nargs="+", action="append", default=[], metavar=("NAME", "KEY=VALUE"))
    parser.add_argument("--timm-script", type=Path, help="timm's train.py, of its repository; its wheel lacks it")
    parser.add_argument("--reference", default=REFERENCE, help="the method that the others are compared with")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--summary", action="store_true", help="run nothing")
    parser.add_argument("--quick", action="store_true", help="32 px, one epoch, one fold of two sets: does it run?")
    arguments = parser.parse_args()
    if arguments.methods is None and not arguments.summary:
        lacking = {"timm": not arguments.timm_script, "fastai": arguments.quick and not installed(arguments.out)}
        arguments.methods = [name for name in METHODS if not lacking.get(name)]
    if "timm" in (arguments.methods or ()) and not (arguments.timm_script or arguments.summary):
        parser.error("the method timm needs --timm-script")
    if arguments.quick:
        arguments.sets = arguments.sets or QUICK_SETS
        arguments.folds = arguments.folds or [0]
        arguments.size = arguments.size or QUICK_SIZE
        arguments.resamples = min(arguments.resamples, 50)
    arguments.sets = arguments.sets or list(SETS)
    return arguments


def overrides(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """The methods of dermtl, and the keys that each overrides."""
    shared = [f"backbone.image_size={arguments.size}"] if arguments.size else []
    shared += QUICK if arguments.quick else ()
    variants = {f"{REFERENCE}:{name}": shared + keys for name, *keys in arguments.variant}
    return {REFERENCE: shared} | variants


def measure(key: Key, dataset: DataSet, pictures: list[Picture], setting: Setting, *, quick: bool) -> None:
    """One result, unless it is there.

    Raises:
        SystemExit: A result of this key is stored that was made with other overrides.
    """
    wanted = setting.overrides.get(key.method, [])
    if (there := store.read(key, setting.out)) is not None:
        if there["overrides"] != wanted:
            raise SystemExit(f"{key.folder(setting.out)} was made with {there['overrides']}, not with {wanted}")
        return
    sides = folds.load(dataset, pictures, setting.out)[key.fold]
    if key.labels:
        sides = folds.few(pictures, sides, key.labels, key.seed)
    task = Task(
        dataset=dataset.name,
        weights=setting.weights_file,
        targets=methods.targets(key.method, dataset),
        classes=tuple(sorted({picture.label for picture in pictures})),
        seed=key.seed,
        size=key.size,
        epochs=1 if quick else dataset.epochs,
        batch_size=dataset.batch_size,
        weighted=dataset.weighted,
        upright=dataset.upright,
        pictures=pictures,
        sides=sides,
    )
    work = (setting.out / "work" / f"{os.getpid()}").resolve()
    shutil.rmtree(work, ignore_errors=True)
    try:
        facts = methods.run(key.method, task, dataset, setting, work)
        store.keep(key, setting.out, work, facts)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{key.dataset} {key.method} fold {key.fold} seed {key.seed}: {facts['cpu_s']} CPU s", file=sys.stderr)


def main() -> None:
    """Measure what is missing, and print the table."""
    arguments = parse()
    script = arguments.timm_script.resolve() if arguments.timm_script else None
    setting = Setting(arguments.data, arguments.weights, arguments.out.resolve(), overrides(arguments), script)
    names = [*(arguments.methods or ()), *(name for name in setting.overrides if name != REFERENCE)]
    rows, failed = [], []
    for dataset in (SETS[name] for name in arguments.sets):
        pictures = read_pictures(dataset, setting.data)
        chosen = [fold for fold in arguments.folds or range(dataset.folds) if fold < dataset.folds]
        size = arguments.size or dataset.size
        keys = [
            Key(dataset.name, method, fold, seed, size, arguments.labels_per_class)
            for fold in chosen
            for seed in arguments.seeds or [0]
            for method in names
            if methods.targets(method, dataset)
        ]
        for key in () if arguments.summary else keys:
            try:
                measure(key, dataset, pictures, setting, quick=arguments.quick)
            except subprocess.CalledProcessError as error:
                failed.append(f"{key.dataset} {key.method} fold {key.fold} seed {key.seed}: {error}")
        there = store.found(setting.out, dataset.name, size, arguments.labels_per_class)
        if not arguments.summary or names:
            there = [key for key in there if key.method in names]
        there = [key for key in there if key.fold in chosen and key.seed in (arguments.seeds or [key.seed])]
        rows += summarise(dataset, pictures, there, arguments.reference, setting.out, arguments.resamples)
    print("\n".join([*lines(rows, arguments.reference), *(f"failed: {text}" for text in failed)]))
    figures = {"labels_per_class": arguments.labels_per_class, "rows": rows, "failed": failed}
    print(json.dumps({"reference": arguments.reference} | figures))
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
