"""The area under a ROC curve with DeLong's variance. Only for independent rows: one picture a patient.

Where groups repeat, the variance would be too small, so it is refused; the clustered bootstrap answers there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, isnan, log, nan, sqrt

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.statistics.expit import expit
from dermtl.statistics.proportion import normal_quantile


@dataclass(frozen=True)
class Area:
    """An area under a ROC curve.

    Attributes:
        auroc: 0..1; NaN without a positive or without a negative.
        standard_error: NaN with fewer than two of either.
        low: Lower limit of the interval in 0..1, made on the logit scale; NaN at an area of 0 or 1, or if the standard
            error is NaN.
        high: Upper limit of the interval; NaN if ``low`` is NaN.
    """

    auroc: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True)
class AreaDifference:
    """The area of a second model minus that of a first, on the same rows.

    Attributes:
        difference: -1..1.
        standard_error: Standard error of the difference.
        low: Lower limit of the normal interval of the difference.
        high: Upper limit of the normal interval of the difference.
        p: Two-sided, that both are equal; NaN where the difference has no variance.
    """

    difference: float
    standard_error: float
    low: float
    high: float
    p: float


def delong(scores: Array, positive: Array, groups: Sequence[str], *, level: float = 0.95) -> Area:
    """The area of one model.

    Args:
        scores: float [n].
        positive: bool [n].
        groups: The group of every row, [n].
        level: Confidence level of the interval, above 0 and below 1.

    Raises:
        DataError: A group has several rows.

    Source: DeLong, DeLong and Clarke-Pearson 1988; the interval on the logit scale as Pepe 2003, section 5.2.
    """
    _independent(groups)
    (area,), covariance = _areas(np.asarray(scores, np.float64)[None], positive)
    error = sqrt(covariance[0, 0])
    if not 0 < area < 1 or isnan(error):
        return Area(float(area), error, nan, nan)
    logit, half = log(area / (1 - area)), normal_quantile(level) * error / (area * (1 - area))
    return Area(float(area), error, float(expit(logit - half)), float(expit(logit + half)))


def delong_test(
    one: Array, other: Array, positive: Array, groups: Sequence[str], *, level: float = 0.95
) -> AreaDifference:
    """Compare two models' areas on the same rows.

    Args:
        one: float [n], scores of the first model.
        other: float [n], scores of the second.
        positive: bool [n].
        groups: The group of every row, [n].
        level: Confidence level of the interval, above 0 and below 1.

    Raises:
        DataError: A group has several rows.

    Source: DeLong, DeLong and Clarke-Pearson 1988, equation 4 with the contrast (-1, 1).
    """
    _independent(groups)
    areas, covariance = _areas(np.stack([np.asarray(one, np.float64), np.asarray(other, np.float64)]), positive)
    difference = float(areas[1] - areas[0])
    error = sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))
    half = normal_quantile(level) * error
    p = erfc(abs(difference) / error / sqrt(2)) if error > 0 else nan
    return AreaDifference(difference, error, difference - half, difference + half, p)


def _areas(scores: Array, positive: Array) -> tuple[Array, Array]:
    """Areas [m] and their covariance [m, m] of scores [m, n], from the placement of every row among the other side."""
    truth = np.asarray(positive, bool)
    num_positive, num_negative = int(truth.sum()), int((~truth).sum())
    num = len(scores)
    if not num_positive or not num_negative:
        return np.full(num, nan), np.full((num, num), nan)
    of_positive = np.empty((num, num_positive))
    of_negative = np.empty((num, num_negative))
    for row, values in enumerate(scores):
        ranks = _mid_ranks(values)
        of_positive[row] = (ranks[truth] - _mid_ranks(values[truth])) / num_negative
        of_negative[row] = 1 - (ranks[~truth] - _mid_ranks(values[~truth])) / num_positive
    areas = of_positive.mean(axis=1)
    if min(num_positive, num_negative) < 2:
        return areas, np.full((num, num), nan)
    covariance = np.atleast_2d(np.cov(of_positive)) / num_positive + np.atleast_2d(np.cov(of_negative)) / num_negative
    return areas, covariance


def _mid_ranks(values: Array) -> Array:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _independent(groups: Sequence[str]) -> None:
    if len(set(groups)) < len(groups):
        raise DataError(
            f"DeLong's variance needs independent rows, but {len(groups)} rows are of {len(set(groups))} groups",
            hint="use the clustered bootstrap",
        )
