"""How far probabilities are from meaning what they say: a line through predicted and observed log odds."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

from dermtl.arrays import Array
from dermtl.statistics.expit import expit

_STEPS = 100
_SETTLED = 1e-5
_ROUNDING = 1e-6  # of log odds, between two runtimes


@dataclass(frozen=True)
class CalibrationLine:
    """Logistic regression of what happened on the log odds that were predicted.

    Attributes:
        slope: 1 is right; below 1 the probabilities are too extreme. NaN where the data do not tell.
        intercept: Intercept of the regression that gives ``slope``; 0 is right.
        in_the_large: Intercept where the slope is held at 1: above 0 the event is commoner than predicted.
    """

    slope: float
    intercept: float
    in_the_large: float


def calibration_line(odds: Array, happened: Array) -> CalibrationLine:
    """Slope and intercept of float [n], log odds, and bool [n].

    Source: Cox 1958, Two further applications of a model for binary regression; Van Calster et al. 2019.
    """
    return weighted_line(odds, happened)(np.ones(len(odds), np.int64))


def weighted_line(odds: Array, happened: Array) -> Callable[[Array], CalibrationLine]:
    """Prepare :func:`calibration_line` for weights, int [n], how often each row counts."""
    truth = np.asarray(happened, bool)
    order = np.lexsort((odds, truth))  # what did not happen comes first
    values, truth = np.asarray(odds, np.float64)[order], truth[order]
    parts = [slice(int((~truth).sum())), slice(int((~truth).sum()), None)]
    alone, both = _Regression(values, truth, sloped=False), _Regression(values, truth, sloped=True)

    def line(weights: Array) -> CalibrationLine:
        weight = np.asarray(weights, np.float64)[order]
        others, events = (_limits(values[part], weight[part]) for part in parts)
        if others is None or events is None:
            return CalibrationLine(nan, nan, nan)
        (large,) = alone.fit(weight).tolist()
        if (
            min(events[1] - others[0], others[1] - events[0]) <= _ROUNDING
        ):  # a threshold parts them: no slope is likeliest
            return CalibrationLine(nan, nan, large)
        intercept, slope = both.fit(weight).tolist()
        return CalibrationLine(slope, intercept, large)

    full = line(np.ones(len(values), np.int64))
    if isfinite(full.slope):  # resamples lie near: a few steps instead of many
        alone.begin_at(np.array([full.in_the_large]))
        both.begin_at(np.array([full.intercept, full.slope]))
    return line


class _Regression:
    """A logistic regression of what happened, bool [n], on log odds, float64 [n]: intercept and slope, or slope 1."""

    def __init__(self, odds: Array, happened: Array, *, sloped: bool) -> None:
        self._odds, self._truth = odds, happened.astype(np.float64)
        self._mean = odds.mean() if len(odds) else 0.0  # about it, intercept and slope hardly depend on one another
        centred = odds - self._mean
        self._powers = np.stack([centred**power for power in range(3 if sloped else 1)], axis=1)
        self._ends = (centred.min(), centred.max()) if sloped and len(odds) else (0.0,)
        self.begin_at(np.array([0.0, 1.0] if sloped else [0.0]))

    def begin_at(self, found: Array) -> None:
        """Begin at these coefficients from now on."""
        self._begin, self._chance = found, expit(self._line(found))

    def fit(self, weight: Array) -> Array:
        """The coefficients under weights, float64 [n]; NaN where they do not settle.

        Newton's steps, halved where one goes too far. Errors are squared from step to step: the last leaves 1e-10.
        """
        found, chance, happened = self._begin, self._chance, (weight * self._truth) @ self._powers
        for _ in range(_STEPS):
            step = self._step(chance, weight, happened)
            if not np.isfinite(step).all():
                break
            moved = max(abs(float(np.polyval(step[::-1], end))) for end in self._ends)
            step[0] -= self._mean * step[1:].sum()
            if moved > 1:  # a shorter one cannot go too far
                before = self._loss(found, weight)
                while self._loss(found - step, weight) > before and moved > _SETTLED:
                    step, moved = step / 2, moved / 2
            found = found - step
            if moved < _SETTLED:
                return found
            chance = expit(self._line(found))
        return np.full_like(found, nan)

    def _line(self, found: Array) -> Array:
        return np.asarray(found[0] + (self._odds if len(found) == 1 else found[1] * self._odds))

    def _step(self, chance: Array, weight: Array, happened: Array) -> Array:
        """Curvature into gradient; intercept and slope about the mean of the log odds."""
        expected = weight * chance
        gradient, curve = expected @ self._powers - happened, (expected - expected * chance) @ self._powers
        with np.errstate(divide="ignore", invalid="ignore"):
            if len(curve) == 1:
                return np.asarray(gradient / curve)
            (zeroth, first, second), (low, high) = curve, gradient[:2]
            turned = np.array([second * low - first * high, zeroth * high - first * low])
            return np.asarray(turned / (zeroth * second - first * first))

    def _loss(self, found: Array, weight: Array) -> float:
        line = self._line(found)
        return float(weight @ (np.logaddexp(0, line) - self._truth * line))


def _limits(ordered: Array, weight: Array) -> tuple[float, float] | None:
    """The lowest and the highest of ordered values that have a weight."""
    there = weight > 0
    if not there.any():
        return None
    return float(ordered[there.argmax()]), float(ordered[len(there) - 1 - there[::-1].argmax()])
