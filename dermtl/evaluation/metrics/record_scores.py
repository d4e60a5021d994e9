"""Rows of measures, one a record and head, and the metrics they sum up to."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import PluginContract
from dermtl.plugins.contract import Metrics, WeightedMetrics
from dermtl.plugins.head_errors import head_errors
from dermtl.plugins.plan import HeadPlan


class RecordScores:
    """Collects what each head's metrics measure.

    Args:
        plans: The heads.
    """

    def __init__(self, plans: Mapping[str, HeadPlan]) -> None:
        self._metrics = {name: plan.metrics() for name, plan in plans.items()}
        self._rows: dict[str, list[Mapping[str, float | Array]]] = {name: [] for name in plans}
        self._indices: dict[str, list[int]] = {name: [] for name in plans}

    def add(self, index: int, values: Mapping[str, Array], annotations: Mapping[str, Array]) -> None:
        """Measure one record.

        Args:
            index: Position of the record.
            values: Full output name to value, source frame.
            annotations: Head to truth, for the heads that have one.
        """
        for name, annotation in annotations.items():
            prediction = {
                output.removeprefix(f"{name}."): value
                for output, value in values.items()
                if output.startswith(f"{name}.")
            }
            with head_errors(name, "the measures of its metrics"):
                self._rows[name].append(self._metrics[name].measure(prediction, annotation))
            self._indices[name].append(index)

    def extend(self, other: "RecordScores", offset: int) -> None:
        """Take in the rows of other records, whose positions count from ``offset`` here."""
        for name in self._rows:
            self._rows[name] += other._rows[name]
            self._indices[name] += [index + offset for index in other._indices[name]]

    def pool(self, gather: Callable[[Any], list[Any]]) -> None:
        """Take in the rows of all processes, in the order of the records; ``gather`` brings each one's value."""
        for name in self._rows:
            found = [
                pair for own in gather(list(zip(self._indices[name], self._rows[name], strict=True))) for pair in own
            ]
            found.sort(key=lambda pair: pair[0])
            self._indices[name] = [index for index, _ in found]
            self._rows[name] = [row for _, row in found]

    def indices(self, head: str) -> list[int]:
        """Positions of the records that this head could be measured on."""
        return self._indices[head]

    def primary(self, head: str) -> str:
        """The metric that stands for the head."""
        return self._metrics[head].primary

    def table(self, head: str) -> dict[str, Array]:
        """Column to the stacked measures, [n, ...]."""
        rows = self._rows[head]
        return {column: np.stack([np.asarray(row[column]) for row in rows]) for column in (rows[0] if rows else ())}

    def summary(self, head: str) -> dict[str, float]:
        """Metric to value over all rows; empty where there are none.

        Raises:
            PluginContract: The head's primary metric is not among them.
        """
        if not self._rows[head]:
            return {}
        with head_errors(head, "the summary of its metrics"):
            found = self._metrics[head].summarise(self.table(head))
        if (primary := self.primary(head)) not in found:
            known = ", ".join(found)
            raise PluginContract(f"its primary metric {primary!r} is none of {known}", where=f"head {head!r}")
        return found

    def weighted(self, head: str) -> Callable[[Array], dict[str, float]]:
        """Weights, int [n], how often each row counts, to the metrics."""
        return weighted(self._metrics[head], self.table(head))


def weighted(metrics: Metrics, table: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
    """Prepare the metrics of a table for many weights.

    Args:
        metrics: A head's.
        table: Column to the stacked measures, [n, ...].

    Returns:
        Weights, int [n], how often each row counts, to the metrics.
    """
    if isinstance(metrics, WeightedMetrics):
        return metrics.weighted(table)

    def summarise(weights: Array) -> dict[str, float]:
        chosen = np.repeat(np.arange(len(weights)), weights)
        return metrics.summarise({column: values[chosen] for column, values in table.items()})

    return summarise
