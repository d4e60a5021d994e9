"""An evaluation as it was written to a folder: who was predicted, what is true, what was measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError, InputError
from dermtl.evaluation.predict.measures import Measured, read_measures
from dermtl.files.table import Cells, read_table
from dermtl.plugins.plan import HeadPlan, replan_heads

_AGAIN = "it was written by an older version: run `dermtl evaluate` again"


@dataclass(frozen=True)
class Recorded:
    """A folder of ``dermtl evaluate``.

    Attributes:
        folder: It.
        rows: Image to its row of predictions.csv, in its order.
        plans: Its heads.
        measures: Head to what was measured; indices are positions in ``rows``.
        model: What was evaluated.
    """

    folder: Path
    rows: Mapping[str, Cells]
    plans: Mapping[str, HeadPlan]
    measures: Mapping[str, Measured]
    model: Mapping[str, Any]

    @property
    def groups(self) -> list[str]:
        """The group of every row."""
        return [row["group"] for row in self.rows.values()]

    def truth(self, image: str) -> dict[str, str]:
        """The truth columns of an image that hold something."""
        own = tuple(f"{head}.truth." for head in self.plans)
        return {column: cell for column, cell in self.rows[image].items() if cell and column.startswith(own)}

    def numbers(self, images: Sequence[str], columns: Sequence[str]) -> Array:
        """Cells of some images as float64 [images, columns].

        Raises:
            DataError: A column is missing, or holds no number.
        """
        try:
            return np.array([[float(self.rows[image][column]) for column in columns] for image in images])
        except (KeyError, ValueError) as error:
            where = str(self.folder / "predictions.csv")
            raise DataError(f"a column is missing or holds no number: {error}", where=where) from error


def read_recorded(path: Path, split: str = "test") -> Recorded:
    """Read a folder of ``dermtl evaluate``, or that of a run's split.

    Raises:
        InputError: There is no evaluation.
        DataError: It is damaged, or it lacks the truths and measures that older versions did not write.
        PluginError: A head's plugin is not installed.
    """
    folder = path if (path / "metrics.json").is_file() else path / "evaluation" / split
    if not (folder / "metrics.json").is_file():
        raise InputError(
            f"holds neither metrics.json nor evaluation/{split}/metrics.json",
            where=str(path),
            hint="give a folder that `dermtl evaluate` wrote, or a run that it was used on",
        )
    try:
        document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        model = dict(document["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot be read: {error}", where=str(folder / "metrics.json")) from error
    if "plans" not in document:
        raise DataError("does not say how its heads are measured", where=str(folder / "metrics.json"), hint=_AGAIN)
    plans = replan_heads(document["plans"])
    table = folder / "predictions.csv"
    rows: dict[str, Cells] = {}
    for where, row in read_table(table):
        if missing := {"image", "group"} - set(row):
            raise DataError(f"has no column {sorted(missing)[0]!r}", where=str(table), hint=_AGAIN)
        if row["image"] in rows:
            raise DataError(f"image {row['image']} is listed twice", where=where)
        rows[row["image"]] = row
    measures = read_measures(folder / "measures.npz")
    recorded = Recorded(folder, rows, plans, measures, model)
    _check(recorded)
    return recorded


def _check(recorded: Recorded) -> None:
    images = list(recorded.rows)
    for head, measured in recorded.measures.items():
        if head not in recorded.plans or measured.indices.max(initial=-1) >= len(images):
            raise DataError(
                f"measures.npz does not belong to metrics.json and predictions.csv (head {head!r})",
                where=str(recorded.folder),
                hint="run `dermtl evaluate` again",
            )
        if len(measured.indices):
            image = images[int(measured.indices[0])]
            if not any(column.startswith(f"{head}.truth.") for column in recorded.truth(image)):
                raise DataError(
                    f"has no truth of head {head!r} (columns {head}.truth...)",
                    where=str(recorded.folder / "predictions.csv"),
                    hint=_AGAIN,
                )
