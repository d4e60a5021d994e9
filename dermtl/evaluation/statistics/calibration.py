"""Making probabilities mean what they say, and measuring by how much they do not."""

from dataclasses import dataclass
from math import exp, log, nan
from typing import Literal

import numpy as np

from dermtl.errors import DataError
from dermtl.imaging.affine import Array

MAX_TEMPERATURE = 100.0
_STEPS = 100


def fit_temperature(logits: Array, truth: Array, link: Literal["softmax", "sigmoid"] = "softmax") -> float:
    """The temperature T > 0 for which softmax(logits / T), or sigmoid, is likeliest. It never changes the order.

    The likelihood has one optimum in 1 / T, found by halving. Logits that are always right, or no better than their
    opposite, have none; then T ends at 1/100 or 100.

    Args:
        logits: float [n, K]; of ``sigmoid`` any shape.
        truth: int [n], the class; of ``sigmoid`` 0 and 1 of the logits' shape. NaN is unknown.
        link: What turns logits into probabilities.

    Raises:
        DataError: There is no row, or a logit is not finite.

    Source: Guo et al. 2017, On calibration of modern neural networks, section 4.2.
    """
    values = np.asarray(logits, np.float64)
    if not values.size or not np.isfinite(values).all():
        raise DataError("a temperature needs finite logits of at least one validation row")
    if link == "softmax":
        right = values[np.arange(len(values)), np.asarray(truth, np.int64)]
        values = values - values.max(axis=1, keepdims=True)
        right = right - np.asarray(logits, np.float64).max(axis=1)

        def slope(inverse: float) -> float:
            weight = np.exp(values * inverse)
            return float(((weight * values).sum(axis=1) / weight.sum(axis=1) - right).mean())
    else:
        target = np.asarray(truth, np.float64).ravel()
        known = ~np.isnan(target)
        if not known.any():
            raise DataError("a temperature needs at least one known label")
        flat, target = values.ravel()[known], target[known]

        def slope(inverse: float) -> float:
            return float(((_expit(flat * inverse) - target) * flat).mean())

    low, high = -log(MAX_TEMPERATURE), log(MAX_TEMPERATURE)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(exp(middle)) > 0 else (middle, high)
    return exp(-(low + high) / 2)


@dataclass(frozen=True)
class CalibrationLine:
    """Logistic regression of what happened on the log odds that were predicted.

    Attributes:
        slope: 1 is right; below 1 the probabilities are too extreme. NaN where the data do not tell.
        intercept: Of that regression; 0 is right.
        in_the_large: Intercept where the slope is held at 1: above 0 the event is commoner than predicted.
    """

    slope: float
    intercept: float
    in_the_large: float


def calibration_line(probability: Array, happened: Array) -> CalibrationLine:
    """Slope and intercept of float [n] in 0..1 and bool [n].

    Source: Cox 1958, Two further applications of a model for binary regression; Van Calster et al. 2019.
    """
    values = np.clip(np.asarray(probability, np.float64), 1e-12, 1 - 1e-12)
    odds, truth = np.log(values / (1 - values)), np.asarray(happened, np.float64)
    if not len(truth) or truth.min() == truth.max():
        return CalibrationLine(nan, nan, nan)
    (large,) = _regress(np.ones((len(odds), 1)), truth, offset=odds)
    if np.ptp(odds) == 0:
        return CalibrationLine(nan, nan, large)
    intercept, slope = _regress(np.stack([np.ones_like(odds), odds], axis=1), truth, offset=np.zeros_like(odds))
    return CalibrationLine(slope, intercept, large)


def _regress(design: Array, truth: Array, offset: Array) -> list[float]:
    """Coefficients of a logistic regression by damped Newton steps; NaN where it does not settle (separated data)."""
    weights = np.zeros(design.shape[1])

    def loss(candidate: Array) -> float:
        line = design @ candidate + offset
        return float((np.logaddexp(0, line) - truth * line).sum())

    for _ in range(_STEPS):
        chance = _expit(design @ weights + offset)
        gradient = design.T @ (chance - truth)
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design
        if np.linalg.cond(curvature) > 1e14:
            break
        step, size, before = np.linalg.solve(curvature, gradient), 1.0, loss(weights)
        while loss(weights - size * step) > before and size > 1e-8:
            size /= 2
        weights = weights - size * step
        if np.abs(size * step).max() < 1e-10:
            return [float(weight) for weight in weights]
    return [nan] * len(weights)


def _expit(values: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))
