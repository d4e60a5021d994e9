"""What each head's metrics measure of every record, and the metrics that summarise it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import PluginContract
from dermtl.plugins.contract import Measures, Metrics, WeightedMetrics
from dermtl.plugins.head_errors import head_errors
from dermtl.plugins.plan import HeadPlan


@dataclass(frozen=True)
class HeadScores:
    """What one head's metrics measured.

    Attributes:
        indices: int64 [m], positions of the records that the head could be measured on.
        table: Column to the stacked measures, [m, ...].
    """

    indices: Array
    table: Mapping[str, Array]

    @classmethod
    def of(cls, indices: Sequence[int], rows: Sequence[Measures]) -> "HeadScores":
        """The scores of some records from a row of measures for each."""
        columns = rows[0] if rows else ()
        table = {column: np.stack([np.asarray(row[column]) for row in rows]) for column in columns}
        return cls(np.array(indices, np.int64), table)

    def __len__(self) -> int:
        return len(self.indices)


class RecordScores:
    """Collects what each head's metrics measure.

    Args:
        plans: The heads.
    """

    def __init__(self, plans: Mapping[str, HeadPlan]) -> None:
        self._metrics = {name: plan.metrics() for name, plan in plans.items()}
        self._rows: dict[str, list[Measures]] = {name: [] for name in plans}
        self._indices: dict[str, list[int]] = {name: [] for name in plans}

    def add(self, index: int, values: Mapping[str, Array], annotations: Mapping[str, Array]) -> None:
        """Measure one record.

        Args:
            index: Position of the record.
            values: Full output name to value, source frame.
            annotations: Head to truth, for the heads that have one.
        """
        for name, annotation in annotations.items():
            self._rows[name].append(measure(name, self._metrics[name], values, annotation))
            self._indices[name].append(index)

    def pool(self, gather: Callable[[Any], list[Any]]) -> None:
        """Take in the rows of all processes, in the order of the records; ``gather`` brings each one's value."""
        for name in self._rows:
            rows = list(zip(self._indices[name], self._rows[name], strict=True))
            pairs = [pair for of_process in gather(rows) for pair in of_process]
            pairs.sort(key=lambda pair: pair[0])
            self._indices[name] = [index for index, _ in pairs]
            self._rows[name] = [row for _, row in pairs]

    def primary(self, head: str) -> str:
        """The head's primary metric."""
        return self._metrics[head].primary

    def scores(self, head: str) -> HeadScores:
        """What was measured of one head."""
        return HeadScores.of(self._indices[head], self._rows[head])

    def summary(self, head: str) -> dict[str, float]:
        """Metric to value over all rows; empty where there are none.

        Raises:
            PluginContract: The head's primary metric is not among them.
        """
        return summarise(head, self._metrics[head], self.scores(head).table)


def measure(head: str, metrics: Metrics, values: Mapping[str, Array], annotation: Array) -> Measures:
    """What a head's metrics measure of one record.

    Args:
        head: Name of the head.
        metrics: The head's metrics.
        values: Full output name to value, source frame; those of other heads are left aside.
        annotation: The truth.
    """
    prefix = f"{head}."
    prediction = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    with head_errors(head, "the measures of its metrics"):
        return metrics.measure(prediction, annotation)


def summarise(head: str, metrics: Metrics, table: Mapping[str, Array]) -> dict[str, float]:
    """Metric to value over the rows of a table; empty where there are none.

    Raises:
        PluginContract: The head's primary metric is not among them.
    """
    if not table:
        return {}
    with head_errors(head, "the summary of its metrics"):
        values = metrics.summarise(table)
    if metrics.primary not in values:
        known = ", ".join(values)
        raise PluginContract(f"its primary metric {metrics.primary!r} is none of {known}", where=f"head {head!r}")
    return values


def weighted(metrics: Metrics, table: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
    """Prepare the metrics of a table for many weights.

    Args:
        metrics: A head's metrics.
        table: Column to the stacked measures, [n, ...].

    Returns:
        Weights, int [n], how often each row counts, to the metrics.
    """
    if isinstance(metrics, WeightedMetrics):
        return metrics.weighted(table)

    def summary(weights: Array) -> dict[str, float]:
        chosen = np.repeat(np.arange(len(weights)), weights)
        return metrics.summarise({column: values[chosen] for column, values in table.items()})

    return summary
