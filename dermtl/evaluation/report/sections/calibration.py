"""Reliability diagrams beside the metrics of calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.plots import GREY, Plot, colour, plot

_NAMES = {
    "ece": "ECE, 15 bins of equal mass",
    "brier": "Brier score",
    "nll": "negative log likelihood",
    "slope": "slope (1 is right)",
    "intercept": "intercept (0 is right)",
    "in_the_large": "calibration in the large (0 is right)",
}
_SET_NAMES = {
    "coverage": "sets that hold the true class",
    "mean_size": "classes in a set, on average",
    "single": "sets of one class",
    "empty": "empty sets",
}


def view(context: Context, head: str) -> Mapping[str, Any] | None:
    """Figures and diagrams of a head; None for heads without probabilities of classes."""
    calibration = context.evaluation.calibration.get(head)
    if not calibration:
        return None
    event = (
        "the likeliest class is right"
        if context.evaluation.predictions.probabilities[head].exclusive
        else "any label holds"
    )
    before = calibration["before"] or {}
    rows = [(_NAMES[key], figure, before.get(key)) for key, figure in calibration["figures"].items()]
    decisions = {
        decision: [(_NAMES[key], estimate, None) for key, estimate in of_decision["figures"].items()]
        for decision, of_decision in calibration["questions"].items()
    }
    plots = [_diagram(f"Reliability: {event}", calibration["bins"])]
    plots += [
        _diagram(f"Reliability: {name}", of_decision["bins"]) for name, of_decision in calibration["questions"].items()
    ]
    return {
        "temperature": calibration["temperature"],
        "event": event,
        "rows": rows,
        "chance": calibration["ece_by_chance"],
        "decisions": decisions,
        "set": _set(calibration["set"]) if calibration.get("set") else None,
        "plots": plots,
    }


def _set(calibration: Mapping[str, Any]) -> Mapping[str, Any]:
    rows = [(_SET_NAMES[key], figure) for key, figure in calibration["figures"].items()]
    classes = [
        (name, {"value": of_class["value"], "wilson": of_class["wilson"], "n": of_class["n"]})
        for name, of_class in calibration["by_class"].items()
    ]
    return {
        "promised": calibration["promised"],
        "threshold": calibration["threshold"],
        "rows": rows,
        "classes": classes,
    }


def _diagram(title: str, bins: Sequence[Mapping[str, float]]) -> Plot:
    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
        most = max(point["n"] for point in bins)
        predicted, observed = [point["predicted"] for point in bins], [point["observed"] for point in bins]
        axes.plot(predicted, observed, color=colour(0), linewidth=0.8)
        axes.scatter(predicted, observed, s=[10 + 50 * point["n"] / most for point in bins], color=colour(0))
        axes.set(xlabel="predicted probability", ylabel="observed share", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_aspect("equal")

    points = "; ".join(f"{p['predicted']:.2f}: {p['observed']:.2f} of {p['n']}" for p in bins)
    return plot(title, f"Predicted probability and observed share, by bins: {points}.", draw)
