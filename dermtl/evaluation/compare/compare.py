"""Two models on the same records: what the second gains over the first, with intervals."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.evaluation.compare.common_nodes import CommonNodes
from dermtl.evaluation.compare.on_nodes import OnNodes, compare_nodes
from dermtl.evaluation.metrics.record_scores import weighted
from dermtl.evaluation.predict.probabilities import column_names
from dermtl.evaluation.predict.saved_evaluation import Recorded
from dermtl.kinds import Category, Kind
from dermtl.statistics.bootstrap import Statistic, bootstrap, paired
from dermtl.statistics.delong import delong_test
from dermtl.statistics.mcnemar import mcnemar


@dataclass(frozen=True)
class Comparison:
    """What was found; every difference is the second minus the first.

    Attributes:
        data: How many records and groups, and whether every group has one record.
        heads: Head to ``metrics`` (metric to first, second, difference, low, high, redrawn, n), ``mcnemar`` (output to
            counts and p) and ``delong`` (column to difference, low, high, p); ``nodes``: those that were decided
            between, where the heads have other classes, else none. There are p-values of independent records only.
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

    A head whose classes were cut differently from one tree is compared at the nodes that both know.

    Args:
        first: The model to compare with.
        second: The model whose gain is asked for.
        resamples: Of the paired bootstrap.

    Raises:
        DataError: The records, their groups or their truths differ, no head is in both, or a head's classes have
            nothing in common.
    """
    _same_images(first, second)
    shared = [head for head in first.plans if head in second.plans]
    if not shared:
        raise DataError(
            f"no head is in both: {', '.join(first.plans)} and {', '.join(second.plans)}", where=str(second.folder)
        )
    nodes = {head: common for head in shared if (common := _common(head, first, second)) is not None}
    _same_truths(first, second, nodes)
    independent = len(set(first.groups)) == len(first.rows)
    return Comparison(
        {"records": len(first.rows), "groups": len(set(first.groups)), "independent": independent},
        {head: _head(head, first, second, nodes.get(head), resamples) for head in shared},
        tuple(head for head in first.plans if head not in second.plans),
        tuple(head for head in second.plans if head not in first.plans),
    )


def _same_images(first: Recorded, second: Recorded) -> None:
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


def _common(head: str, first: Recorded, second: Recorded) -> CommonNodes | None:
    """Of a head whose classes, and the truths told by them, differ; None of others.

    Raises:
        DataError: The classes have no node in common.
    """
    one, other = (column_names(recorded.plans[head].target) for recorded in (first, second))
    column = f"{head}.truth.class"
    told = ((row.get(column), second.rows[image].get(column)) for image, row in first.rows.items())
    if set(one) == set(other) or all(mine == theirs for mine, theirs in told if mine and theirs):
        return None
    try:
        return CommonNodes.of(one, other)
    except DataError as error:
        raise DataError(f"head {head!r}: {error.message}", where=str(second.folder), hint=error.hint) from error


def _same_truths(first: Recorded, second: Recorded, nodes: Mapping[str, CommonNodes]) -> None:
    merged = {f"{head}.truth.class": common for head, common in nodes.items()}
    for image in first.rows:
        other_truth = second.truth(image)
        for column, cell in first.truth(image).items():
            other = other_truth.get(column, cell)
            common = merged.get(column) if column in other_truth else None
            if other != cell and (common is None or common.place(other) != common.place(cell)):
                raise DataError(
                    f"image {image} has {column} = {other}, but {cell} in {first.folder}",
                    where=str(second.folder),
                    hint="evaluate both on the same labels",
                )


def _head(head: str, first: Recorded, second: Recorded, common: CommonNodes | None, resamples: int) -> dict[str, Any]:
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
    told = {"nodes": [] if common is None else list(common.names)}
    if not at_first:
        return {**told, "metrics": {}, "mcnemar": {}, "delong": {}}
    measured = [images[index] for index in at_first]
    groups = [first.rows[image]["group"] for image in measured]
    if common is not None:
        one, other = (OnNodes.of(head, recorded, common, measured) for recorded in (first, second))
        metrics = _paired(one.figures(), other.figures(), groups, resamples)
        return {**told, "metrics": metrics, **compare_nodes(common, one, other, groups)}
    tables = (
        first.measures[head].table,
        {column: values[rows_of_second] for column, values in second.measures[head].table.items()},
    )
    before, after = (
        weighted(recorded.plans[head].metrics(), table) for recorded, table in zip((first, second), tables, strict=True)
    )
    metrics = _paired(before, after, groups, resamples)
    return {**told, "metrics": metrics, **_tests(head, first, second, measured, groups)}


def _paired(one: Statistic, other: Statistic, groups: list[str], resamples: int) -> dict[str, Any]:
    every = np.ones(len(groups), np.int64)
    before, after, gain = one(every), other(every), paired(one, other)(every)
    intervals = bootstrap(paired(one, other), groups, resamples=resamples)
    return {
        metric: {
            "first": before[metric],
            "second": after[metric],
            "difference": difference,
            **intervals[metric]._asdict(),
            "n": len(groups),
        }
        for metric, difference in gain.items()
    }


def _tests(
    head: str, first: Recorded, second: Recorded, images: list[str], groups: list[str]
) -> dict[str, dict[str, Any]]:
    """McNemar of the decided classes and DeLong of every class's ranking; without p where groups repeat."""
    independent = len(set(groups)) == len(groups)
    decided: dict[str, Any] = {}
    ranked: dict[str, Any] = {}
    target, others = first.plans[head].target, second.plans[head].outputs
    for output, kind in first.plans[head].outputs.items():
        columns = column_names(kind)
        theirs = column_names(others[output]) if output in others else ()
        if not columns or column_names(target) != columns or set(theirs) != set(columns):
            continue
        truth = _truth(target, head, first, images)
        one, other = (recorded.numbers(images, [f"{output}.{c}" for c in columns]) for recorded in (first, second))
        if isinstance(target, Category):
            true = truth.argmax(axis=1)
            found = asdict(mcnemar(one.argmax(axis=1) == true, other.argmax(axis=1) == true))
            decided[output] = found if independent else {**found, "exact_p": None, "mid_p": None}
        if independent:
            for index, name in enumerate(columns):
                tested = delong_test(one[:, index], other[:, index], truth[:, index], groups)
                ranked[f"{output}.{name}"] = asdict(tested)
    return {"mcnemar": decided, "delong": ranked}


def _truth(target: Kind, head: str, recorded: Recorded, images: list[str]) -> Array:
    """Which columns hold, bool [n, columns]."""
    if not isinstance(target, Category):
        return recorded.numbers(images, [f"{head}.truth.{name}" for name in column_names(target)]) > 0
    names = np.array([recorded.rows[image][f"{head}.truth.class"] for image in images])
    return np.asarray(names[:, None] == np.array(target.classes))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
