"""Figures as they are written in tables, reports and cards."""

from collections.abc import Mapping
from typing import Any

from dermtl.statistics.operating_point import NOBODY

NOT_ESTIMABLE = "not estimable"
UNBOUNDED = "not bounded"  # a likelihood ratio without a false alarm


def figure_text(value: float | None) -> str:
    """Four digits; None is not estimable."""
    return NOT_ESTIMABLE if value is None else f"{value:.4g}"


def number_text(value: float | None) -> str:
    """Four digits for the cell of a table; a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def threshold_text(threshold: float) -> str:
    """From where on a score is positive."""
    return "nobody is positive" if threshold >= NOBODY else f"{threshold:.4g}"


def value_text(figure: Mapping[str, Any]) -> str:
    """The value of a figure, four digits."""
    return _part(figure, "value")


def interval_text(figure: Mapping[str, Any]) -> str:
    """The ends of a figure's interval.

    The bootstrap's; of a share Wilson's, marked, where its records are independent or no resample differed. An end that
    is infinite is not bounded.
    """
    low, high = figure.get("low"), figure.get("high")
    if {"low", "high"} & set(figure.get("unbounded", ())):
        return f"{_part(figure, 'low')} to {_part(figure, 'high')}"
    wilson = figure.get("wilson") or (None, None)
    if low is not None and figure.get("method") == "wilson":
        return f"{low:.4g} to {high:.4g} (Wilson)"
    if (low is None or low == high) and wilson[0] is not None:
        return f"{wilson[0]:.4g} to {wilson[1]:.4g} (Wilson)"
    return NOT_ESTIMABLE if low is None else f"{low:.4g} to {high:.4g}"


def below_text(below: Mapping[str, Any]) -> str:
    """How many readers lie below a model's curve, with the interval."""
    if below["value"] is None:
        return f"how many of {below['of']} readers lie below the curve is {NOT_ESTIMABLE}"
    interval = "" if below["low"] is None else f" (95% interval {below['low']:g} to {below['high']:g})"
    return f"{below['value']:g} of {below['of']} readers lie below the curve{interval}"


def _part(figure: Mapping[str, Any], name: str) -> str:
    return UNBOUNDED if name in figure.get("unbounded", ()) else figure_text(figure[name])
