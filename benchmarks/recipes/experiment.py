"""The shipped experiment: dermtl's own commands on configs/<set>.yaml, and its own predictions.csv.

Only what names the data, the split, the seed and, if asked for, the picture's size is overridden. dermtl trains on the
pictures that train and chooses its weights, temperatures and thresholds on those that validate.
"""

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.recipes.datasets import DataSet, read_rows
from benchmarks.recipes.store import Predictions, mask_name
from benchmarks.recipes.task import Task

DERMTL = (sys.executable, "-m", "dermtl")
QUICK = ("training.stages=[{train: all, epochs: 1, lr: 1e-3}]",)


def command(task: Task, dataset: DataSet, data: Path, folder: Path, overrides: Sequence[str]) -> list[str]:
    """Write the table with its column ``split``; the command that trains."""
    rows = [row | {"split": task.sides[row["image"]]} for row in read_rows(dataset, data) if row["image"] in task.sides]
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    given = (f"data.manifest={table}", "data.split.column=split", f"training.seed={task.seed}", *overrides)
    options = [part for override in given for part in ("-o", override)]
    return [*DERMTL, "train", f"configs/{dataset.name}.yaml", "--run", str(folder / "run"), *options]


def predict(task: Task, dataset: DataSet, folder: Path) -> None:
    """Evaluate the run, and write what it predicts of the test pictures; outlines come from the exported model."""
    run = folder / "run"
    _call("evaluate", run, "--resamples", "10")
    found = Predictions.none()
    with (run / "evaluation" / "test" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if head := dataset.heads.get("label"):
            found.labels[row["image"]] = {name: float(row[f"{head}.probability.{name}"]) for name in task.classes}
        if head := dataset.heads.get("circle"):
            cx, cy, r = (float(row[f"{head}.circle.{name}"]) for name in ("cx", "cy", "r"))
            found.circles[row["image"]] = (cx, cy, r)
    found.write(folder)
    if head := dataset.heads.get("mask"):
        _call("export", run, "--out", folder / "model.onnx")
        paths = [picture.path for picture in task.side("test")]
        _call("predict", folder / "model.onnx", *paths, "--out", folder / "masks.csv", "--masks", folder / "png")
        (folder / "masks").mkdir()
        for picture in task.side("test"):
            (file_,) = (folder / "png").rglob(f"{Path(picture.path).name}.{head}.png")
            file_.rename(folder / "masks" / mask_name(picture.image))


def _call(*arguments: str | Path) -> None:
    subprocess.run([*DERMTL, *map(str, arguments)], check=True, stdout=sys.stderr)
