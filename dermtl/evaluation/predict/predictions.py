"""What a model predicted of many records, beside what is true, as arrays: all that an evaluation looks at.

Knows neither the model nor the pictures. Masks are not kept; what their metrics measured is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.metrics.record_scores import HeadScores
from dermtl.evaluation.predict.probabilities import Probabilities, column_names, ranked_output
from dermtl.kinds import Category
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decisions

Cell = str | float
Table = dict[str, list[Cell]]
"""Column of predictions.csv to its cells, one for each record; an empty text where there is nothing."""


@dataclass(frozen=True)
class Truths:
    """The truths of one head.

    Attributes:
        known: bool [n], whether a record has a truth.
        columns: Column to truths, [n]. A category has ``class``, int64, the index of the class; other columns are
            float64, or text of kinds that write text. What stands where no truth is known means nothing.
    """

    known: Array
    columns: Mapping[str, Array]


@dataclass(frozen=True)
class Predictions:
    """Records that were predicted once.

    Attributes:
        images: Name of every picture, [n].
        groups: Group of every record, [n].
        plans: The heads.
        outputs: Full output name to the numbers that its kind writes into tables, float64 [n, C].
        columns: Full output name to the names of those C numbers.
        truths: Head to truths, of the heads of which any record has one.
        record_scores: Head to what its metrics measured; positions are those of the records here.
        decisions: What was frozen before these records were predicted.
        decided: Column to what the frozen decisions say, float64 [n]: 1 positive, 0 not; NaN where none was frozen.
        baselines: Head to trivial predictor to metric to value, on the records with a truth.
    """

    images: Sequence[str]
    groups: Sequence[str]
    plans: Mapping[str, HeadPlan]
    outputs: Mapping[str, Array]
    columns: Mapping[str, tuple[str, ...]]
    truths: Mapping[str, Truths]
    record_scores: Mapping[str, HeadScores]
    decisions: Decisions = field(default_factory=Decisions)
    decided: Mapping[str, Array] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def probabilities(self) -> dict[str, Probabilities]:
        """The probabilities of every head that ranks its truth's own classes or labels, where a truth is known."""
        by_head = {}
        for head, plan in self.plans.items():
            output, truths = ranked_output(plan), self.truths.get(head)
            if output is None or truths is None:
                continue
            names, indices = column_names(plan.target), np.flatnonzero(truths.known)
            exclusive = isinstance(plan.target, Category)
            if exclusive:
                holds = truths.columns["class"][indices, None] == np.arange(len(names))
            else:
                holds = np.stack([truths.columns[name][indices] > 0 for name in names], axis=1)
            values = np.ascontiguousarray(self.outputs[output][indices])
            by_head[head] = Probabilities(head, output, names, values, holds, indices, exclusive)
        return by_head

    def table(self) -> Table:
        """The columns of predictions.csv, in the order in which the records first fill them."""
        columns: Table = {"image": list(self.images), "group": list(self.groups)}
        for output, values in self.outputs.items():
            for index, name in enumerate(self.columns[output]):
                columns[f"{output}.{name}"] = values[:, index].tolist()
        for column, decided in self.decided.items():
            columns[column] = ["" if np.isnan(value) else value for value in decided.tolist()]
        for head in sorted(self.truths, key=list(self.plans).index):
            truths = self.truths[head]
            for name, true in truths.columns.items():
                cells = _class_names(self.plans[head], true) if true.dtype.kind == "i" else true.tolist()
                known = zip(truths.known.tolist(), cells, strict=True)
                columns[f"{head}.truth.{name}"] = [cell if is_known else "" for is_known, cell in known]
        filled = {
            name: first
            for name, cells in columns.items()
            if (first := next((row for row, cell in enumerate(cells) if cell != ""), None)) is not None
        }
        return {name: columns[name] for name in sorted(filled, key=lambda name: filled[name])}


def _class_names(plan: HeadPlan, indices: Array) -> list[Cell]:
    classes = column_names(plan.target)
    return [classes[index] for index in indices.tolist()]
