"""The logistic function."""

import numpy as np

from dermtl.arrays import Array


def expit(values: Array | float) -> Array:
    """1 / (1 + exp(-x)), float64 of the values' shape; 0 or 1 where exp overflows, without a warning."""
    with np.errstate(over="ignore"):
        powers = np.exp(-np.asarray(values, np.float64))
    return np.asarray(np.reciprocal(powers + 1))
