"""The methods that are compared: for each, the processes that train and predict."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.recipes import experiment
from benchmarks.recipes.datasets import DataSet
from benchmarks.recipes.environment import fastai_python
from benchmarks.recipes.task import BACKBONE, Task

REFERENCE = "dermtl"
METHODS = (REFERENCE, "plain", "plain+val", "probe", "constant", "fastai", "timm")
PEERS = ("fastai", "timm")  # classification only
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Setting:
    """What does not change between results.

    Attributes:
        overrides: dermtl's method to the keys that it overrides besides data, split and seed.
        timm_script: Path of train.py from timm's repository.
    """

    data: Path
    weights: Path
    out: Path
    overrides: dict[str, list[str]] = field(default_factory=dict)
    timm_script: Path | None = None

    @property
    def weights_file(self) -> str:
        """The file that all methods begin with."""
        return str((self.weights / f"{BACKBONE}.in1k.safetensors").resolve())


def targets(method: str, dataset: DataSet) -> tuple[str, ...]:
    """What a method predicts of a set; nothing if it is not for this set."""
    known = {"probe": ("label", "circle"), **dict.fromkeys(PEERS, ("label",))}.get(method, tuple(dataset.heads))
    return tuple(target for target in dataset.heads if target in known)


def run(method: str, task: Task, dataset: DataSet, setting: Setting, work: Path) -> dict[str, Any]:
    """Train and predict in ``work``.

    Returns:
        Facts of the result: ``cpu_s`` counts everything that the training's processes and their children used, from
        their start on, and leaves out the prediction of the test pictures.
    """
    task.write(work)
    name = method.partition(":")[0]
    python = str(fastai_python(setting.out)) if name == "fastai" else sys.executable  # may install: before the clock
    began, before = time.perf_counter(), _children_s()
    if name == REFERENCE:
        _call(experiment.command(task, dataset, setting.data, work, setting.overrides.get(method, [])), setting)
    elif name == "timm":
        # Imported here: it brings torch, which the constant needs not wait for.
        from benchmarks.recipes import timm_script

        assert setting.timm_script is not None
        _call(timm_script.command(task, work, str(setting.timm_script)), setting)
    else:
        module, *options = {
            "plain": ("plain",),
            "plain+val": ("plain", "--val"),
            "probe": ("probe",),
            "constant": ("constant",),
            "fastai": ("fastai_learner",),
        }[name]
        _call([python, "-m", f"benchmarks.recipes.{module}", str(work), *options], setting)
    spent, wall = _children_s() - before, time.perf_counter() - began
    if (noted := work / "predicting_s.txt").exists():
        spent -= float(noted.read_text())
    if name == REFERENCE:
        experiment.predict(task, dataset, work)
    elif name == "timm":
        _call([sys.executable, "-m", "benchmarks.recipes.timm_script", str(work)], setting)
    return {
        "cpu_s": round(spent, 1),
        "wall_s": round(wall, 1),
        "epochs": task.epochs if name not in (REFERENCE, "probe", "constant") else None,
        "num": {side: len(task.side(side)) for side in ("train", "val", "test")},
        "overrides": setting.overrides.get(method, []),
        "versions": {package: version(package) for package in ("torch", "timm", "scikit-learn", "dermtl")},
    }


def _call(command: Sequence[str], setting: Setting) -> None:
    environment = {"DERMTL_DATA": str(setting.data.resolve()), "DERMTL_WEIGHTS": str(setting.weights.resolve())}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=ROOT, env=os.environ | environment | threads)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
