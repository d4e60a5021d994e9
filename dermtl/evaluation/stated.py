"""Figures with their intervals in the form of metrics.json; None is not estimable."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from dermtl.evaluation.statistics.bootstrap import Statistic, bootstrap

Stated = dict[str, float | None]


def state(statistic: Statistic, groups: Sequence[str], *, resamples: int) -> dict[str, Stated]:
    """Metric to ``value``, ``low`` and ``high``.

    Args:
        statistic: Weights, int64 [n], how often each row counts, to metrics; NaN where not estimable.
        groups: The group of every row, [n].
        resamples: Of the clustered bootstrap.
    """
    every = statistic(np.ones(len(groups), np.int64))
    intervals = bootstrap(statistic, groups, resamples=resamples)
    return {
        name: {"value": known(value), "low": known(intervals[name].low), "high": known(intervals[name].high)}
        for name, value in every.items()
    }


def known(value: float) -> float | None:
    """A number as JSON has it: None where it is not finite."""
    return float(value) if isfinite(value) else None
