"""Two models on the same records: what the second gains over the first, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.evaluation.compare.common_nodes import CommonNodes
from dermtl.evaluation.compare.on_nodes import OnNodes, compare_nodes
from dermtl.evaluation.compare.pair import Pair
from dermtl.evaluation.metrics.record_scores import weighted
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
    pair = Pair.of(first, second)
    one, other = pair.predictions
    shared = [head for head in one.plans if head in other.plans]
    if not shared:
        raise DataError(
            f"no head is in both: {', '.join(one.plans)} and {', '.join(other.plans)}", where=str(second.folder)
        )
    nodes = {head: common for head in shared if (common := pair.common_nodes(head)) is not None}
    for head in shared:
        pair.refuse_other_truths(head, nodes.get(head))
    num_groups = len(set(one.groups))
    return Comparison(
        {"records": len(one), "groups": num_groups, "independent": num_groups == len(one)},
        {head: _compare_head(pair, head, nodes.get(head), resamples) for head in shared},
        tuple(head for head in one.plans if head not in other.plans),
        tuple(head for head in other.plans if head not in one.plans),
    )


def _compare_head(pair: Pair, head: str, common: CommonNodes | None, resamples: int) -> dict[str, Any]:
    """Metrics side by side with the interval of their difference, and tests.

    Raises:
        DataError: The head was measured on other records.
    """
    one, other = pair.predictions
    scores, others = one.record_scores[head], other.record_scores[head]
    row_of = {index: row for row, index in enumerate(others.indices.tolist())}
    matching = [row_of.get(index, -1) for index in pair.rows[scores.indices].tolist()]
    if -1 in matching or len(matching) != len(row_of):
        raise DataError(
            f"head {head!r} was measured on other records than in {pair.first.folder}",
            where=str(pair.second.folder),
            hint="evaluate both on the same labels",
        )
    nodes = {"nodes": [] if common is None else list(common.names)}
    if not len(scores):
        return {**nodes, "metrics": {}, "mcnemar": {}, "delong": {}}
    measured, theirs = scores.indices, pair.rows[scores.indices]
    groups = [one.groups[index] for index in measured.tolist()]
    if common is not None:
        on_nodes = (
            OnNodes.of(head, pair.first, common, measured),
            OnNodes.of(head, pair.second, common, theirs),
        )
        metrics = _paired(on_nodes[0].statistic(), on_nodes[1].statistic(), groups, resamples)
        return {**nodes, "metrics": metrics, **compare_nodes(common, *on_nodes, groups)}
    before = weighted(one.plans[head].metrics(), scores.table)
    table = {column: values[matching] for column, values in others.table.items()}
    after = weighted(other.plans[head].metrics(), table)
    metrics = _paired(before, after, groups, resamples)
    return {**nodes, "metrics": metrics, **_tests(pair, head, measured, theirs, groups)}


def _tests(pair: Pair, head: str, measured: Array, theirs: Array, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    """McNemar of the decided classes and DeLong of every class's ranking; without p where groups repeat."""
    independent = len(set(groups)) == len(groups)
    decided: dict[str, Any] = {}
    ranked: dict[str, Any] = {}
    first, second = pair.predictions
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
