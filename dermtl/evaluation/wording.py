"""Figures as they are written in tables, reports and cards."""

from collections.abc import Mapping
from typing import Any

NOT_ESTIMABLE = "not estimable"


def figure_text(value: float | None) -> str:
    """Four digits; None is not estimable."""
    return NOT_ESTIMABLE if value is None else f"{value:.4g}"


def interval_text(figure: Mapping[str, Any]) -> str:
    """The ends of a figure's interval.

    The bootstrap's; Wilson's where that has no width, since no resample differed, and the figure is a share.
    """
    low, high = figure.get("low"), figure.get("high")
    wilson = figure.get("wilson") or (None, None)
    if (low is None or low == high) and wilson[0] is not None:
        return f"{wilson[0]:.4g} to {wilson[1]:.4g} (Wilson)"
    return NOT_ESTIMABLE if low is None else f"{low:.4g} to {high:.4g}"
