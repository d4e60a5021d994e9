"""Confidence intervals by resampling whole groups: several pictures of one patient are not several patients."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dermtl.arrays import Array

Statistic = Callable[[Array], Mapping[str, float]]
MAX_DRAWS = 3  # times the resamples asked for, before a metric that is rarely estimable is given up


class Interval(NamedTuple):
    """Ends of an interval.

    Attributes:
        low: Lower end; infinite where the metric has no bound there, NaN where it is not estimable.
        high: Upper end, in the same way.
        redrawn: Number of resamples in which the metric was not estimable, so that others were drawn in their place.
    """

    low: float
    high: float
    redrawn: int


def bootstrap(
    statistic: Statistic, groups: Sequence[str], *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Percentile intervals of a clustered bootstrap.

    A resample that leaves a metric without a value (a class was not drawn) does not count for it, and another is drawn.

    Args:
        statistic: Weights, int64 [n], how often each row was drawn, to metrics. NaN is not estimable; an infinite
            value, such as a likelihood ratio without a false alarm, is a value like any other.
        groups: The group of every row, [n]; groups are drawn with replacement.
        resamples: How many values each metric is to have.
        level: Share of the resampled values inside.
        seed: Seed of the draws.

    Returns:
        Metric to interval; NaN where there are fewer than two groups, or the metric was estimable in fewer than half as
        many resamples as asked for after three times as many draws.

    Source:
        Field and Welsh 2007, Bootstrapping clustered data, the randomised cluster bootstrap.
    """
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    full = statistic(np.ones(len(groups), np.int64))
    drawn: dict[str, list[float]] = {metric: [] for metric in full}
    redrawn = dict.fromkeys(full, 0)
    wanted = [metric for metric, value in full.items() if not np.isnan(value)]
    generator, num_draws = np.random.default_rng(seed), 0
    if len(names) >= 2:
        while num_draws < resamples or (
            num_draws < MAX_DRAWS * resamples and any(len(drawn[metric]) < resamples for metric in wanted)
        ):
            counts = np.bincount(generator.integers(0, len(names), len(names)), minlength=len(names))
            num_draws += 1
            for metric, value in statistic(counts[codes]).items():
                if len(drawn[metric]) == resamples:
                    continue
                if np.isnan(value):
                    redrawn[metric] += 1
                else:
                    drawn[metric].append(value)
    return {metric: _interval(values, resamples, level, redrawn[metric]) for metric, values in drawn.items()}


def paired(one: Statistic, other: Statistic) -> Statistic:
    """The difference, other minus one, of what two models' common metrics say of the same rows.

    Bootstrapped, both models see the same resample, so what they share cancels.
    """

    def difference(weights: Array) -> dict[str, float]:
        before, after = one(weights), other(weights)
        return {metric: after[metric] - value for metric, value in before.items() if metric in after}

    return difference


def _interval(values: list[float], resamples: int, level: float, redrawn: int) -> Interval:
    if 2 * len(values) < resamples or not values:
        return Interval(float("nan"), float("nan"), redrawn)
    ordered, tail = np.sort(values), (1 - level) / 2
    low, high = _quantile(ordered, tail, np.floor), _quantile(ordered, 1 - tail, np.ceil)
    return Interval(low, high, redrawn)


def _quantile(ordered: Array, share: float, outward: Callable[[float], float]) -> float:
    """Straight between the two nearest values; where one of them is infinite, the outer one."""
    if np.isfinite(ordered).all():
        return float(np.quantile(ordered, share))
    position = share * (len(ordered) - 1)
    below, above = ordered[int(np.floor(position))], ordered[int(np.ceil(position))]
    if np.isfinite([below, above]).all():
        return float(below + (above - below) * (position % 1))
    return float(ordered[int(outward(position))])
