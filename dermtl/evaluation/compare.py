"""Two models on the same records: what the second gains over the first, with intervals."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from dermtl.errors import DataError
from dermtl.evaluation.recorded import Recorded
from dermtl.evaluation.scoring import weighted
from dermtl.evaluation.statistics.bootstrap import bootstrap, paired
from dermtl.evaluation.statistics.delong import delong_test
from dermtl.evaluation.statistics.mcnemar import mcnemar
from dermtl.imaging.affine import Array
from dermtl.kinds import Category, Kind, Tags


@dataclass(frozen=True)
class Comparison:
    """What was found; every difference is the second minus the first.

    Attributes:
        data: How many records and groups, and whether every group has one record.
        heads: Head to ``metrics`` (metric to first, second, difference, low, high, n), ``mcnemar`` (output to counts
            and p) and ``delong`` (column to difference, low, high, p). There are p-values of independent records only.
        only_first: Heads that the second lacks.
        only_second: Heads that the first lacks.
    """

    data: Mapping[str, Any]
    heads: Mapping[str, Mapping[str, Any]]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, in plain JSON types; None is not estimable."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def compare(first: Recorded, second: Recorded, *, resamples: int = 2000) -> Comparison:
    """Compare every head that both have.

    Args:
        first: The model to compare with.
        second: The model whose gain is asked for.
        resamples: Of the paired bootstrap.

    Raises:
        DataError: The records, their groups or their truths differ, or no head is in both.
    """
    _same_records(first, second)
    shared = [head for head in first.plans if head in second.plans]
    if not shared:
        raise DataError(
            f"no head is in both: {', '.join(first.plans)} and {', '.join(second.plans)}", where=str(second.folder)
        )
    independent = len(set(first.groups)) == len(first.rows)
    return Comparison(
        {"records": len(first.rows), "groups": len(set(first.groups)), "independent": independent},
        {head: _head(head, first, second, resamples) for head in shared},
        tuple(head for head in first.plans if head not in second.plans),
        tuple(head for head in second.plans if head not in first.plans),
    )


def _same_records(first: Recorded, second: Recorded) -> None:
    for one, other in ((first, second), (second, first)):
        if lacking := [image for image in one.rows if image not in other.rows]:
            raise DataError(
                f"lacks {len(lacking)} of {len(one.rows)} records that {one.folder} has, such as {lacking[0]}",
                where=str(other.folder),
                hint="evaluate both on the same --manifest and --split",
            )
    for image, row in first.rows.items():
        if row["group"] != second.rows[image]["group"]:
            raise DataError(f"image {image} is of another group in {first.folder}", where=str(second.folder))
        other_truth = second.truth(image)
        for column, cell in first.truth(image).items():
            if other_truth.get(column, cell) != cell:
                raise DataError(
                    f"image {image} has {column} = {other_truth[column]}, but {cell} in {first.folder}",
                    where=str(second.folder),
                    hint="evaluate both on the same labels",
                )


def _head(head: str, first: Recorded, second: Recorded, resamples: int) -> dict[str, Any]:
    images = list(first.rows)
    position = {image: index for index, image in enumerate(second.rows)}
    at_first = [int(index) for index in first.measures[head].indices]
    row_of = {int(index): row for row, index in enumerate(second.measures[head].indices)}
    rows_of_second = [row_of.get(position[images[index]], -1) for index in at_first]
    if -1 in rows_of_second or len(rows_of_second) != len(row_of):
        raise DataError(
            f"head {head!r} was measured on other records than in {first.folder}",
            where=str(second.folder),
            hint="evaluate both on the same labels",
        )
    if not at_first:
        return {"metrics": {}, "mcnemar": {}, "delong": {}}
    measured = [images[index] for index in at_first]
    groups = [first.rows[image]["group"] for image in measured]
    tables = (
        first.measures[head].table,
        {column: values[rows_of_second] for column, values in second.measures[head].table.items()},
    )
    one, other = (
        weighted(recorded.plans[head].metrics(), table) for recorded, table in zip((first, second), tables, strict=True)
    )
    every = np.ones(len(measured), np.int64)
    before, after, gain = one(every), other(every), paired(one, other)(every)
    intervals = bootstrap(paired(one, other), groups, resamples=resamples)
    metrics = {
        metric: {
            "first": before[metric],
            "second": after[metric],
            "difference": difference,
            "low": intervals[metric].low,
            "high": intervals[metric].high,
            "n": len(measured),
        }
        for metric, difference in gain.items()
    }
    return {"metrics": metrics, **_tests(head, first, second, measured, groups)}


def _tests(
    head: str, first: Recorded, second: Recorded, images: list[str], groups: list[str]
) -> dict[str, dict[str, Any]]:
    """McNemar of the decided classes and DeLong of every class's ranking; without p where groups repeat."""
    independent = len(set(groups)) == len(groups)
    decided: dict[str, Any] = {}
    ranked: dict[str, Any] = {}
    target, others = first.plans[head].target, second.plans[head].outputs
    for output, kind in first.plans[head].outputs.items():
        columns = _columns(kind)
        if not columns or _columns(target) != columns or set(_columns(others.get(output))) != set(columns):
            continue
        truth = _truth(target, head, first, images)
        one, other = (_read(recorded, images, [f"{output}.{c}" for c in columns]) for recorded in (first, second))
        if isinstance(target, Category):
            true = truth.argmax(axis=1)
            found = asdict(mcnemar(one.argmax(axis=1) == true, other.argmax(axis=1) == true))
            decided[output] = found if independent else {**found, "exact_p": None, "mid_p": None}
        if independent:
            for index, name in enumerate(columns):
                tested = delong_test(one[:, index], other[:, index], truth[:, index], groups)
                ranked[f"{output}.{name}"] = asdict(tested)
    return {"mcnemar": decided, "delong": ranked}


def _columns(kind: Kind | None) -> tuple[str, ...]:
    """Names of what a kind ranks; none for other kinds."""
    if isinstance(kind, Category):
        return kind.classes
    return kind.labels if isinstance(kind, Tags) else ()


def _truth(target: Kind, head: str, recorded: Recorded, images: list[str]) -> Array:
    """Which columns hold, bool [n, columns]."""
    if not isinstance(target, Category):
        return _read(recorded, images, [f"{head}.truth.{name}" for name in _columns(target)]) > 0
    names = np.array([recorded.rows[image][f"{head}.truth.class"] for image in images])
    return np.asarray(names[:, None] == np.array(target.classes))


def _read(recorded: Recorded, images: list[str], columns: list[str]) -> Array:
    """Cells as float64 [n, columns]."""
    try:
        return np.array([[float(recorded.rows[image][column]) for column in columns] for image in images])
    except (KeyError, ValueError) as error:
        where = str(recorded.folder / "predictions.csv")
        raise DataError(f"a column is missing or holds no number: {error}", where=where) from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
