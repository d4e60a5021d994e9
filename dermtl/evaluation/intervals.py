"""Confidence intervals by resampling whole groups: several pictures of one patient are not several patients."""

from collections.abc import Callable, Sequence

import numpy as np

from dermtl.imaging.affine import Array

Interval = tuple[float, float]


def bootstrap_intervals(
    statistic: Callable[[Array], dict[str, float]],
    groups: Sequence[str],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals of a clustered bootstrap.

    Args:
        statistic: Row indices, int64 [m] with repeats, to metrics; NaN where not estimable.
        groups: The group of every row, [n]; groups are drawn with replacement.
        resamples: How often.
        level: Share of the resampled values inside.
        seed: Of the draws.

    Returns:
        Metric to (low, high); NaN where fewer than two groups, or fewer than half the resamples, could be used.

    Source:
        Field and Welsh 2007, Bootstrapping clustered data, the randomised cluster bootstrap.
    """
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=len(names)))[:-1])
    metrics = list(statistic(np.arange(len(groups))))
    if len(names) < 2:
        return dict.fromkeys(metrics, (float("nan"), float("nan")))
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {metric: [] for metric in metrics}
    for _ in range(resamples):
        rows = np.concatenate([members[group] for group in generator.integers(0, len(names), len(names))])
        for metric, value in statistic(rows).items():
            if np.isfinite(value):
                drawn[metric].append(value)
    tail = (1 - level) / 2
    intervals: dict[str, Interval] = {}
    for metric, values in drawn.items():
        enough = 2 * len(values) >= resamples
        low, high = np.quantile(values, [tail, 1 - tail]) if enough else (np.nan, np.nan)
        intervals[metric] = (float(low), float(high))
    return intervals
