"""Assertions of checks, with and without pytest, and also under ``python -O``."""

import numpy as np

from dermtl.arrays import Array


def check(condition: object, message: str) -> None:
    """Fail with a message that names the fault, unless the condition holds.

    Raises:
        AssertionError: The condition does not hold.
    """
    if not condition:
        raise AssertionError(message)


def same(got: Array, expected: Array, *, limit: float = 0.0) -> bool:
    """Whether arrays have one shape and differ by no more than ``limit``; NaN is like NaN."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        return False
    if limit == 0.0:
        return bool(np.array_equal(got, expected, equal_nan=got.dtype.kind == "f"))
    return bool(np.allclose(got, expected, rtol=0, atol=limit, equal_nan=True))
