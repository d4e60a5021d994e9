"""Figures with their intervals in the form of metrics.json; None is not estimable, or listed as not bounded."""

from collections.abc import Sequence
from math import isinf
from typing import Any

import numpy as np

from dermtl.statistics.bootstrap import Statistic, bootstrap
from dermtl.statistics.finite import finite_or_none
from dermtl.statistics.proportion import Proportion

Estimate = dict[str, Any]


def with_intervals(statistic: Statistic, groups: Sequence[str], *, resamples: int) -> dict[str, Estimate]:
    """Every metric as :func:`estimate` writes it.

    Args:
        statistic: Weights, int64 [n], how often each row counts, to metrics; NaN where not estimable.
        groups: The group of every row, [n].
        resamples: Number of bootstrap resamples.
    """
    every = statistic(np.ones(len(groups), np.int64))
    intervals = bootstrap(statistic, groups, resamples=resamples)
    return {name: estimate(value, *intervals[name]) for name, value in every.items()}


def estimate(value: float, low: float, high: float, redrawn: int) -> Estimate:
    """One metric in the form of metrics.json.

    Args:
        value: The metric; NaN where not estimable.
        low: Lower end of its interval.
        high: Upper end of its interval.
        redrawn: Number of bootstrap resamples in which the metric was not estimable.

    Returns:
        ``value``, ``low``, ``high`` and ``redrawn``. JSON has no infinity: where one of the first three is infinite it
        is None, and ``unbounded`` lists its name.
    """
    numbers = {"value": value, "low": low, "high": high}
    unbounded = [name for name, number in numbers.items() if isinf(number)]
    shown = {name: finite_or_none(number) for name, number in numbers.items()}
    return {**shown, "redrawn": redrawn, **({"unbounded": unbounded} if unbounded else {})}


def proportion_estimate(share: Proportion) -> Estimate:
    """A share of a count: ``value``, ``n`` and ``wilson``, the ends of Wilson's interval."""
    return {"value": finite_or_none(share.value), "n": share.num, "wilson": wilson_ends(share)}


def wilson_ends(share: Proportion) -> list[float | None]:
    """The ends of Wilson's interval; both None where nothing was counted."""
    return [finite_or_none(end) for end in share.interval()]
