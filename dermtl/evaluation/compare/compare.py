"""Two models on the same records: what the second gains over the first, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.evaluation.compare.common_nodes import CommonNodes
from dermtl.evaluation.compare.on_nodes import OnNodes, compare_nodes
from dermtl.evaluation.metrics.record_scores import weighted
from dermtl.evaluation.predict.predictions import Predictions
from dermtl.evaluation.predict.probabilities import column_names
from dermtl.evaluation.saved_evaluation import SavedEvaluation
from dermtl.kinds import Category
from dermtl.statistics.bootstrap import Statistic, bootstrap, paired
from dermtl.statistics.delong import delong_test
from dermtl.statistics.finite import finite_or_none
from dermtl.statistics.mcnemar import mcnemar


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison; every difference is the second minus the first.

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


def compare(first: SavedEvaluation, second: SavedEvaluation, *, resamples: int = 2000) -> Comparison:
    """Compare every head that both have.

    A head whose classes were cut differently from one tree is compared at the nodes that both know.

    Args:
        first: The model to compare with.
        second: The model whose gain is asked for.
        resamples: Number of paired bootstrap resamples.

    Raises:
        DataError: The records, their groups or their truths differ, no head is in both, or a head's classes have
            nothing in common.
    """
    _same_records(first, second)
    one, other = first.predictions, second.predictions
    shared = [head for head in one.plans if head in other.plans]
    if not shared:
        raise DataError(
            f"no head is in both: {', '.join(one.plans)} and {', '.join(other.plans)}", where=str(second.folder)
        )
    # The rows of the second in the order of the first.
    position = {image: row for row, image in enumerate(other.images)}
    rows = np.array([position[image] for image in one.images], np.int64)
    pair = _Pair(first, second, rows)
    nodes = {head: common for head in shared if (common := pair.common_nodes(head)) is not None}
    for head in shared:
        pair.refuse_other_truths(head, nodes.get(head))
    num_groups = len(set(one.groups))
    return Comparison(
        {"records": len(one), "groups": num_groups, "independent": num_groups == len(one)},
        {head: pair.compare(head, nodes.get(head), resamples) for head in shared},
        tuple(head for head in one.plans if head not in other.plans),
        tuple(head for head in other.plans if head not in one.plans),
    )


def _same_records(first: SavedEvaluation, second: SavedEvaluation) -> None:
    images = [set(saved.predictions.images) for saved in (first, second)]
    for one, other, others in ((first, second, images[1]), (second, first, images[0])):
        if lacking := [image for image in one.predictions.images if image not in others]:
            raise DataError(
                f"lacks {len(lacking)} of {len(one.predictions)} records that {one.folder} has, such as {lacking[0]}",
                where=str(other.folder),
                hint="evaluate both on the same --manifest and --split",
            )
    groups = dict(zip(second.predictions.images, second.predictions.groups, strict=True))
    for image, group in zip(first.predictions.images, first.predictions.groups, strict=True):
        if group != groups[image]:
            raise DataError(f"image {image} is of another group in {first.folder}", where=str(second.folder))


@dataclass(frozen=True)
class _Pair:
    """Two evaluations of the same records.

    Attributes:
        first: The one.
        second: The other.
        rows: int64 [n], for every record of the first its row in the second.
    """

    first: SavedEvaluation
    second: SavedEvaluation
    rows: Array

    def common_nodes(self, head: str) -> CommonNodes | None:
        """The nodes that both know, of a head whose classes, and the truths in them, differ; None of others.

        Raises:
            DataError: The classes have no node in common.
        """
        one, other = (column_names(of.plans[head].target) for of in self._predictions)
        truths = self._truths(head, "class")
        if set(one) == set(other) or all(mine == theirs for _, mine, theirs in truths):
            return None
        try:
            return CommonNodes.of(one, other)
        except DataError as error:
            where = str(self.second.folder)
            raise DataError(f"head {head!r}: {error.message}", where=where, hint=error.hint) from error

    def refuse_other_truths(self, head: str, common: CommonNodes | None) -> None:
        """Refuse truths that differ, but for classes that lie in one common node.

        Raises:
            DataError: With the first record whose truths differ.
        """
        one, other = (of.truths.get(head) for of in self._predictions)
        if one is None or other is None:
            return
        for column in one.columns:
            if column not in other.columns:
                continue
            for image, mine, theirs in self._truths(head, column):
                merged = common if column == "class" else None
                if mine != theirs and (merged is None or merged.place(theirs) != merged.place(mine)):
                    raise DataError(
                        f"image {image} has {head}.truth.{column} = {theirs}, but {mine} in {self.first.folder}",
                        where=str(self.second.folder),
                        hint="evaluate both on the same labels",
                    )

    def compare(self, head: str, common: CommonNodes | None, resamples: int) -> dict[str, Any]:
        """Metrics side by side with the interval of their difference, and tests.

        Raises:
            DataError: The head was measured on other records.
        """
        one, other = self._predictions
        scores, others = one.record_scores[head], other.record_scores[head]
        row_of = {index: row for row, index in enumerate(others.indices.tolist())}
        matching = [row_of.get(index, -1) for index in self.rows[scores.indices].tolist()]
        if -1 in matching or len(matching) != len(row_of):
            raise DataError(
                f"head {head!r} was measured on other records than in {self.first.folder}",
                where=str(self.second.folder),
                hint="evaluate both on the same labels",
            )
        nodes = {"nodes": [] if common is None else list(common.names)}
        if not len(scores):
            return {**nodes, "metrics": {}, "mcnemar": {}, "delong": {}}
        measured, theirs = scores.indices, self.rows[scores.indices]
        groups = [one.groups[index] for index in measured.tolist()]
        if common is not None:
            on_nodes = (
                OnNodes.of(head, self.first, common, measured),
                OnNodes.of(head, self.second, common, theirs),
            )
            metrics = _paired(on_nodes[0].statistic(), on_nodes[1].statistic(), groups, resamples)
            return {**nodes, "metrics": metrics, **compare_nodes(common, *on_nodes, groups)}
        before = weighted(one.plans[head].metrics(), scores.table)
        table = {column: values[matching] for column, values in others.table.items()}
        after = weighted(other.plans[head].metrics(), table)
        metrics = _paired(before, after, groups, resamples)
        return {**nodes, "metrics": metrics, **self._tests(head, measured, theirs, groups)}

    @property
    def _predictions(self) -> tuple[Predictions, Predictions]:
        return self.first.predictions, self.second.predictions

    def _truths(self, head: str, column: str) -> list[tuple[str, Any, Any]]:
        """Image, and both truths of a column, of the records of which both know one; classes by name."""
        cells, known = [], []
        for of, rows in zip(self._predictions, (np.arange(len(self.rows)), self.rows), strict=True):
            truths = of.truths.get(head)
            if truths is None or column not in truths.columns:
                return []
            values = truths.columns[column][rows].tolist()
            target = of.plans[head].target
            if isinstance(target, Category):
                values = [target.classes[value] for value in values]
            cells.append([None if value != value else value for value in values])  # NaN is like NaN
            known.append(truths.known[rows])
        rows_of_both = np.flatnonzero(known[0] & known[1]).tolist()
        images = self.first.predictions.images
        return [(images[row], cells[0][row], cells[1][row]) for row in rows_of_both]

    def _tests(self, head: str, measured: Array, theirs: Array, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """McNemar of the decided classes and DeLong of every class's ranking; without p where groups repeat."""
        independent = len(set(groups)) == len(groups)
        decided: dict[str, Any] = {}
        ranked: dict[str, Any] = {}
        first, second = self._predictions
        target = first.plans[head].target
        for output, kind in first.plans[head].outputs.items():
            columns = column_names(kind)
            if not columns or column_names(target) != columns or set(second.columns.get(output, ())) != set(columns):
                continue
            truth = first.probabilities[head].truth
            order = [second.columns[output].index(name) for name in columns]
            one = first.outputs[output][measured]
            other = np.ascontiguousarray(second.outputs[output][theirs][:, order])
            if isinstance(target, Category):
                true = truth.argmax(axis=1)
                test = asdict(mcnemar(one.argmax(axis=1) == true, other.argmax(axis=1) == true))
                decided[output] = test if independent else {**test, "exact_p": None, "mid_p": None}
            if independent:
                for index, name in enumerate(columns):
                    tested = delong_test(one[:, index], other[:, index], truth[:, index], groups)
                    ranked[f"{output}.{name}"] = asdict(tested)
        return {"mcnemar": decided, "delong": ranked}


def _paired(one: Statistic, other: Statistic, groups: Sequence[str], resamples: int) -> dict[str, Any]:
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


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return finite_or_none(value) if isinstance(value, float) else value
