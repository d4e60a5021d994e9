"""Means and quantiles of columns in which some rows have no value."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from dermtl.arrays import Array


def mean_known(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN where all are."""
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else float("nan")


def weighted_means(columns: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
    """Prepare the mean of every column, over the rows that have a value.

    Args:
        columns: Name to float [n]; NaN is no value.

    Returns:
        Weights, int [n], how often each row counts, to the means; NaN of a column without a value.
    """
    table = np.stack([np.asarray(column, np.float64) for column in columns.values()], axis=1)
    known = ~np.isnan(table)
    filled, there = np.where(known, table, 0.0), known.astype(np.float64)

    def means(weights: Array) -> dict[str, float]:
        counts = np.asarray(weights, np.float64)
        num = counts @ there
        with np.errstate(invalid="ignore"):
            values = np.where(num > 0, counts @ filled, np.nan) / np.maximum(num, 1)
        return dict(zip(columns, values.tolist(), strict=True))

    return means


def weighted_quantile(values: Array) -> Callable[[Array, float], float]:
    """Prepare quantiles of float [n] without NaN.

    Returns:
        Weights, int [n], and q in 0..1 to the smallest value that at least a share q of the weight does not exceed; NaN
        without weight.
    """
    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values, np.float64)[order]

    def quantile(weights: Array, q: float) -> float:
        reached = np.cumsum(weights[order])
        if not len(reached) or not reached[-1]:
            return float("nan")
        return float(ordered[np.searchsorted(reached, q * reached[-1])])

    return quantile
