"""Figures of every class and their means, as both heads report them. NumPy only; NaN is "not estimable", never zero."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dermtl.api import Array
from dermtl.statistics import Ranking

PerClass = Callable[[Array], dict[str, Array]]


def areas(probability: Array, truth: Array) -> PerClass:
    """Prepare the areas under each class's ROC and precision curves, one against the rest.

    Args:
        probability: float [n, K].
        truth: bool [n, K].

    Returns:
        Weights, int [n], to area's name to float [K].
    """
    rankings = [Ranking(probability[:, i], truth[:, i]) for i in range(truth.shape[1])]

    def found(weights: Array) -> dict[str, Array]:
        rows = [ranking.curve(weights).areas() for ranking in rankings]
        return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}

    return found


class Macro:
    """Means over the classes that all rows tell something of; NaN under weights that lack one of these.

    A mean over fewer classes than the figure itself has would be another quantity, and its interval would mislead.

    Args:
        full: Metric to float [K] of all rows.
    """

    def __init__(self, full: Mapping[str, Array]) -> None:
        self._known = {metric: np.isfinite(values) for metric, values in full.items()}

    def mean(self, metric: str, values: Array, shares: Array | None = None) -> float:
        """Mean of float [K], each class alike or by its share, float [K]; NaN where no class is known."""
        known = self._known[metric]
        if not known.any():
            return float("nan")
        return float(np.average(values[known], weights=None if shares is None else shares[known]))


def named(found: Mapping[str, Array], names: Sequence[str]) -> dict[str, float]:
    """Every class's own figures as ``<metric>.<class>``."""
    return {
        f"{metric}.{name}": float(value)
        for metric, values in found.items()
        for name, value in zip(names, values, strict=True)
    }
