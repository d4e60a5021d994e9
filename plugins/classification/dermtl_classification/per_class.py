"""Metrics of every class and their means, for both heads. NumPy only; NaN means "not estimable"."""

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
        Function from weights, int [n], to the area's name to float [K].
    """
    rankings = [Ranking(probability[:, i], truth[:, i]) for i in range(truth.shape[1])]

    def found(weights: Array) -> dict[str, Array]:
        rows = [ranking.curve(weights).areas() for ranking in rankings]
        return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}

    return found


class Macro:
    """Means over the classes that are estimable from all rows; NaN under weights by which one of these is not.

    A mean over fewer classes would be another quantity, and its interval would mislead.

    Args:
        full: Metric to its values of all rows, float [K].
    """

    def __init__(self, full: Mapping[str, Array]) -> None:
        self._known = {metric: np.isfinite(values) for metric, values in full.items()}

    def mean(self, metric: str, values: Array, shares: Array | None = None) -> float:
        """Mean of float [K] over the classes, equally or by shares, float [K]; NaN if no class is estimable."""
        known = self._known[metric]
        if not known.any():
            return float("nan")
        return float(np.average(values[known], weights=None if shares is None else shares[known]))


def named(found: Mapping[str, Array], names: Sequence[str]) -> dict[str, float]:
    """The values of every class as ``<metric>.<class>``."""
    return {
        f"{metric}.{name}": float(value)
        for metric, values in found.items()
        for name, value in zip(names, values, strict=True)
    }
