"""Predictions as files: ``predictions.csv``, for people, and ``measures.npz``, from which metrics are resampled."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.evaluation.metrics.record_scores import HeadScores
from dermtl.evaluation.predict.predictions import Predictions, Truths
from dermtl.evaluation.predict.probabilities import column_names
from dermtl.files.archive import DAMAGED, read_arrays
from dermtl.files.atomic import write_atomic
from dermtl.files.table import read_table, write_table
from dermtl.kinds import Category
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decisions

_IMAGES, _INDICES, _TABLE = "images", "indices", "table"
OLD_VERSION = "it was written by an older version: run `dermtl evaluate` again"


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write ``predictions.csv`` and ``measures.npz`` into a folder.

    Raises:
        DataError: A file cannot be written.
    """
    table = predictions.table()
    write_table(folder / "predictions.csv", list(table), zip(*table.values(), strict=True))
    write_measures(folder / "measures.npz", predictions.record_scores, predictions.images)


def read_predictions(folder: Path, plans: Mapping[str, HeadPlan], decisions: Decisions | None = None) -> Predictions:
    """Read what :func:`write_predictions` wrote; baselines are in no table.

    Args:
        folder: The folder.
        plans: The heads.
        decisions: What was frozen when the records were predicted.

    Raises:
        DataError: A file is missing or damaged, lacks what older versions did not write, or does not belong to the
            other.
    """
    path = folder / "predictions.csv"
    columns = read_columns(path)
    scores = read_measures(folder / "measures.npz", columns["image"])
    num = len(columns["image"])
    for head, of_head in scores.items():
        if head not in plans or of_head.indices.max(initial=-1) >= num:
            raise DataError(
                f"measures.npz does not belong to metrics.json and predictions.csv (head {head!r})",
                where=str(folder),
                hint="run `dermtl evaluate` again",
            )
    try:
        truths = {head: truths for head, plan in plans.items() if (truths := _truths(head, plan, columns)) is not None}
        kinds = {output: kind for plan in plans.values() for output, kind in plan.outputs.items()}
        outputs = {output: _numbers(output, column_names(kind), columns) for output, kind in kinds.items()}
        decided = {
            column: np.array([float(cell) if cell else np.nan for cell in cells])
            for column, cells in columns.items()
            if any(column.startswith((f"{head}.decision.", f"{head}.set.")) for head in plans)
        }
    except ValueError as error:
        raise DataError(f"a column is missing or holds no number: {error}", where=str(path)) from error
    for head, of_head in scores.items():
        known = truths[head].known[of_head.indices] if head in truths else np.zeros(len(of_head), bool)
        if not known.all():
            raise DataError(
                f"has no truth of head {head!r} (columns {head}.truth...)", where=str(path), hint=OLD_VERSION
            )
    return Predictions(
        columns["image"],
        columns["group"],
        plans,
        {output: values for output, (_, values) in outputs.items()},
        {output: names for output, (names, _) in outputs.items()},
        truths,
        {head: scores.get(head, HeadScores.of([], [])) for head in plans},
        decisions or Decisions(),
        decided,
    )


def read_columns(path: Path) -> dict[str, list[str]]:
    """A predictions.csv as columns of text.

    Raises:
        DataError: The file cannot be read, lacks the column image or group, or lists no image, or one twice.
    """
    rows: dict[str, Mapping[str, str]] = {}
    for where, row in read_table(path):
        if missing := [column for column in ("image", "group") if column not in row]:
            raise DataError(f"has no column {missing[0]!r}", where=str(path), hint=OLD_VERSION)
        if row["image"] in rows:
            raise DataError(f"image {row['image']} is listed twice", where=where)
        rows[row["image"]] = row
    if not rows:
        raise DataError("lists no picture", where=str(path), hint="run `dermtl evaluate` again")
    return {column: [row[column] for row in rows.values()] for column in next(iter(rows.values()))}


def _numbers(output: str, expected: tuple[str, ...], columns: Mapping[str, list[str]]) -> tuple[tuple[str, ...], Array]:
    """The columns of an output; those of classes or labels in the order of their kind."""
    names = expected or tuple(
        column.removeprefix(f"{output}.") for column in columns if column.startswith(f"{output}.")
    )
    if missing := [name for name in names if f"{output}.{name}" not in columns]:
        raise ValueError(f"{output}.{missing[0]}")
    values = np.array([[float(cell) for cell in columns[f"{output}.{name}"]] for name in names], np.float64)
    return names, np.ascontiguousarray(values.reshape(len(names), len(columns["image"])).T)


def _truths(head: str, plan: HeadPlan, columns: Mapping[str, list[str]]) -> Truths | None:
    of_head = {name.removeprefix(f"{head}.truth."): cells for name, cells in columns.items() if _is_truth(head, name)}
    if not of_head:
        return None
    known = np.array([any(row) for row in zip(*of_head.values(), strict=True)], bool)
    return Truths(known, {name: _true(plan, cells) for name, cells in of_head.items()})


def _is_truth(head: str, column: str) -> bool:
    return column.startswith(f"{head}.truth.")


def _true(plan: HeadPlan, cells: list[str]) -> Array:
    if isinstance(plan.target, Category):
        return np.array([plan.target.classes.index(cell) if cell else 0 for cell in cells], np.int64)
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:  # a kind may write text
        return np.array(cells)


def write_measures(path: Path, heads: Mapping[str, HeadScores], images: Sequence[str]) -> None:
    """Write ``measures.npz``.

    Args:
        path: The file.
        heads: Head to what was measured.
        images: Name of every predicted picture, in the order that the indices count.

    Raises:
        DataError: The file cannot be written.
    """
    arrays = {_IMAGES: _digest(images)}
    for head, scores in heads.items():
        arrays[f"{head}/{_INDICES}"] = np.asarray(scores.indices, np.int64)
        arrays |= {f"{head}/{_TABLE}/{column}": values for column, values in scores.table.items()}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomic(path, content.getvalue())


def read_measures(path: Path, images: Sequence[str]) -> dict[str, HeadScores]:
    """Read ``measures.npz``.

    Args:
        path: The file.
        images: Name of every picture that the table beside it lists, in its order.

    Raises:
        DataError: The file is missing, damaged, would unpack to far more than it holds, or counts other pictures, or
            the same in another order.
    """
    heads: dict[str, tuple[list[Array], dict[str, Array]]] = {}
    try:
        arrays = read_arrays(path)
        digest = arrays.pop(_IMAGES, None)
        if digest is None:
            raise DataError("does not say whose measures it holds", where=str(path), hint=OLD_VERSION)
        if not np.array_equal(digest, _digest(images)):
            message = "its measures are of other rows than predictions.csv has now, or of another order"
            raise DataError(message, where=str(path), hint="bring the table back, or run `dermtl evaluate` again")
        for name, values in arrays.items():
            head, part, *column = name.split("/", 2)
            indices, table = heads.setdefault(head, ([], {}))
            if part == _INDICES:
                indices.append(values)
            else:
                table[column[0]] = values
        return {head: HeadScores(indices[0], table) for head, (indices, table) in heads.items()}
    except (*DAMAGED, LookupError, TypeError) as error:
        hint = "it is written by `dermtl evaluate`: run it again"
        raise DataError(f"cannot be read: {error}", where=str(path), hint=hint) from error


def _digest(images: Sequence[str]) -> Array:
    """SHA-256 of the names in their order, uint8 [32]."""
    names = "\0".join(images).encode("utf-8", "surrogatepass")
    return np.frombuffer(hashlib.sha256(names).digest(), np.uint8)
