"""Numbers that JSON can hold: it knows neither NaN nor infinity."""

from math import isfinite


def finite_or_none(value: float | None) -> float | None:
    """The number; None where it is not finite, or None already."""
    return float(value) if value is not None and isfinite(value) else None
