"""Part over whole."""

import numpy as np

from dermtl.arrays import Array


def ratio(part: Array | float, whole: Array | float) -> Array:
    """Part over whole, float64; NaN, and no warning, where the whole is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(np.asarray(whole) > 0, np.asarray(part) / whole, np.nan))
