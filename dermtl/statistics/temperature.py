"""Making probabilities mean what they say: the temperature."""

from math import exp, log
from typing import Literal

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.statistics.expit import expit

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
            return float(((expit(flat * inverse) - target) * flat).mean())

    low, high = -log(MAX_TEMPERATURE), log(MAX_TEMPERATURE)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(exp(middle)) > 0 else (middle, high)
    return exp(-(low + high) / 2)
