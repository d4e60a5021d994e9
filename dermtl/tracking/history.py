"""The epochs of a run as numbers: metrics.csv read back, and the epoch of the best weights."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from dermtl.errors import DataError
from dermtl.files.table import read_table

Row = Mapping[str, Any]


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv; empty cells are left out of their row.

    Raises:
        DataError: The file cannot be read, a cell is no number, or a row has no whole epoch.
    """
    rows = []
    for where, cells in read_table(path):
        row: dict[str, float] = {}
        for column, text in cells.items():
            try:
                row |= {column: float(text)} if text.strip() else {}
            except ValueError:
                raise DataError(f"column {column}: expected a number, got {text!r}", where=where) from None
        if not row.get("epoch", math.nan).is_integer():
            raise DataError("column epoch: expected a whole number", where=where)
        rows.append(row)
    return rows


def finite_numbers(row: Row) -> dict[str, float]:
    """The finite numbers of a row, without the epoch and the mark of the best weights."""
    named = {name: value for name, value in row.items() if name not in ("epoch", "best")}
    numbers = {name: float(value) for name, value in named.items() if isinstance(value, Real)}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def best_row(rows: Sequence[Row]) -> Row | None:
    """The last epoch that was marked as the best so far.

    Rows of older runs have no marks: then the epoch of the lowest validation loss, the first of several, or the last
    epoch if nothing was validated.
    """
    if marked := [row for row in rows if row.get("best") == 1]:
        return marked[-1]
    validated = [row for row in rows if math.isfinite(row.get("val.loss", math.nan))]
    if validated:
        return min(validated, key=lambda row: float(row["val.loss"]))
    return rows[-1] if rows else None


def head_metrics(columns: Sequence[str], head: str) -> list[str]:
    """The names of a head's metrics on validation among columns of metrics.csv, its losses left out."""
    prefix = f"val.{head}."
    names = [column.removeprefix(prefix) for column in columns if column.startswith(prefix)]
    return [name for name in names if name.partition(".")[0] != "loss"]


def heads_of(columns: Sequence[str]) -> list[str]:
    """The heads among columns of metrics.csv, in order of appearance."""
    parts = [column.split(".", 2) for column in columns if column.startswith("val.")]
    return list(dict.fromkeys(part[1] for part in parts if len(part) == 3))
