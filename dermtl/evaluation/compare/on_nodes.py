"""What two models with other classes say of the nodes that both know: figures, McNemar, DeLong."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.evaluation.compare.common_nodes import CommonNodes, node_metrics
from dermtl.evaluation.predict.probabilities import column_names, ranked_output
from dermtl.evaluation.saved_evaluation import SavedEvaluation
from dermtl.statistics.bootstrap import Statistic
from dermtl.statistics.delong import delong_test
from dermtl.statistics.mcnemar import mcnemar
from dermtl.taxonomy.names import is_descendant


@dataclass(frozen=True)
class OnNodes:
    """One model's head at common nodes.

    Attributes:
        output: Full name of the output whose classes were summed.
        common: The nodes.
        decided: int64 [n], the likeliest of ``common.names``.
        ranked: float64 [n, shared], probabilities of ``common.shared``.
        truth: int64 [n], the true one of ``common.names``.
        holds: bool [n, shared], whether the true class lies in each.
    """

    output: str
    common: CommonNodes
    decided: Array
    ranked: Array
    truth: Array
    holds: Array

    @classmethod
    def of(cls, head: str, saved: SavedEvaluation, common: CommonNodes, rows: Array) -> "OnNodes":
        """Sum up the classes' probabilities of some records, and their truths.

        Args:
            head: The head.
            saved: The evaluation of one model.
            common: The nodes.
            rows: int64 [n], records with a truth.

        Raises:
            DataError: The head gives no probabilities of its classes.
        """
        predictions = saved.predictions
        plan = predictions.plans[head]
        classes, output = column_names(plan.target), ranked_output(plan)
        if output is None:
            raise DataError(f"head {head!r} gives no probability of every class", where=str(saved.folder))
        probability = predictions.outputs[output][rows]
        true = [classes[index] for index in predictions.truths[head].columns["class"][rows].tolist()]
        return cls(
            output,
            common,
            common.sums(classes, probability, common.names).argmax(axis=1),
            common.sums(classes, probability, common.shared),
            np.array([common.place(name) for name in true], np.int64),
            np.array([[is_descendant(name, node) for node in common.shared] for name in true], bool),
        )

    def statistic(self) -> Statistic:
        """See :func:`~dermtl.evaluation.compare.common_nodes.node_metrics`."""
        return node_metrics(self.common, self.decided, self.ranked, self.truth, self.holds)


def compare_nodes(common: CommonNodes, one: OnNodes, other: OnNodes, groups: Sequence[str]) -> dict[str, Any]:
    """``mcnemar`` of the decided nodes and ``delong`` of every shared node's ranking; without p where groups repeat."""
    independent = len(set(groups)) == len(groups)
    test = asdict(mcnemar(one.decided == one.truth, other.decided == other.truth))
    ranked = {}
    if independent:
        for index, node in enumerate(common.shared):
            tested = delong_test(one.ranked[:, index], other.ranked[:, index], one.holds[:, index], groups)
            ranked[f"{one.output}.{node}"] = asdict(tested)
    return {
        "mcnemar": {one.output: test if independent else {**test, "exact_p": None, "mid_p": None}},
        "delong": ranked,
    }
