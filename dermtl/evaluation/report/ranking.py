"""ROC, sensitivity against specificity, and precision curves of a head that ranks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dermtl.evaluation.probabilities import Probabilities
from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.drawing import GREY, Figure, colour, plot
from dermtl.evaluation.statistics.ranking import Ranking, RocCurve

_SERIES = 6  # curves that colours still tell apart
_LINE = 1.4


def view(context: Context, head: str) -> Mapping[str, Any] | None:
    """The figures of a head; None for heads that do not rank."""
    found = context.probabilities.get(head)
    if found is None:
        return None
    curves = {
        name: curve
        for index, name in enumerate(found.names)
        if (curve := Ranking(found.values[:, index], found.truth[:, index]).curve()).known
    }
    left = len(found.names) - min(len(curves), _SERIES)
    shown = dict(list(curves.items())[:_SERIES])
    figures = [*_sens_spec(context, head, found), *([_roc(shown), _precision(shown)] if shown else [])]
    return {"figures": figures, "left_out": left, "num": len(found.names)}


def _sens_spec(context: Context, head: str, found: Probabilities) -> list[Figure]:
    """A plot for every question, its frozen threshold marked. Source: the axes of Esteva et al. 2017, figure 3."""
    figures = []
    for question, decided in context.evaluation.decisions.get(head, {}).items():
        curve = Ranking(found.score(decided["positive"]), found.holds(decided["positive"])).curve()
        if not curve.known:
            continue
        point = {name: decided["figures"][name] for name in ("sensitivity", "specificity")}

        def draw(axes: Any, curve: RocCurve = curve, point: Mapping[str, Any] = point) -> None:
            sensitivity, false = _rates(curve)
            axes.plot(sensitivity, 1 - false, color=colour(0), linewidth=_LINE, drawstyle="steps-post")
            x, y = point["sensitivity"], point["specificity"]
            axes.errorbar(
                x["value"],
                y["value"],
                xerr=_bars(x),
                yerr=_bars(y),
                fmt="o",
                color=colour(4),
                capsize=2,
                label="frozen threshold, 95% intervals",
            )
            axes.legend(frameon=False, loc="lower left")
            _square(axes, "sensitivity", "specificity")

        text = (
            f"Specificity against sensitivity of {question}; area under the curve {curve.auroc():.3f}; at the threshold"
            f" sensitivity {point['sensitivity']['value']:.3f}, specificity {point['specificity']['value']:.3f}."
        )
        figures.append(plot(f"Sensitivity and specificity: {question}", text, draw))
    return figures


def _roc(curves: Mapping[str, RocCurve]) -> Figure:
    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
        for index, (name, curve) in enumerate(curves.items()):
            sensitivity, false = _rates(curve)
            axes.plot(false, sensitivity, color=colour(index), linewidth=_LINE, label=f"{name} {curve.auroc():.2f}")
        axes.legend(frameon=False, loc="lower right", title="area")
        _square(axes, "1 - specificity", "sensitivity")

    areas = ", ".join(f"{name} {curve.auroc():.3f}" for name, curve in curves.items())
    return plot("ROC, one class against the rest", f"Areas under the ROC curves: {areas}.", draw)


def _precision(curves: Mapping[str, RocCurve]) -> Figure:
    def draw(axes: Any) -> None:
        for index, (name, curve) in enumerate(curves.items()):
            sensitivity = curve.true_positives / curve.num_positive
            precision = curve.true_positives / (curve.true_positives + curve.false_positives)
            label = f"{name} {curve.average_precision():.2f}"
            axes.plot(sensitivity, precision, color=colour(index), linewidth=_LINE, drawstyle="steps-pre", label=label)
        axes.legend(frameon=False, loc="lower left", title="average precision")
        _square(axes, "sensitivity", "precision (PPV at this prevalence)")

    areas = ", ".join(f"{name} {curve.average_precision():.3f}" for name, curve in curves.items())
    return plot("Precision by sensitivity", f"Average precision: {areas}.", draw)


def _rates(curve: RocCurve) -> tuple[Any, Any]:
    """Sensitivity and false positive rate at every threshold, from (0, 0) on."""
    sensitivity = np.concatenate([[0], curve.true_positives / curve.num_positive])
    return sensitivity, np.concatenate([[0], curve.false_positives / curve.num_negative])


def _bars(figure: Mapping[str, Any]) -> list[list[float]] | None:
    """Wilson's interval where the bootstrap gives none, or one of no width."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if low is None or low == high:
        low, high = figure["wilson"]
    return None if low is None else [[max(value - low, 0.0)], [max(high - value, 0.0)]]


def _square(axes: Any, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
