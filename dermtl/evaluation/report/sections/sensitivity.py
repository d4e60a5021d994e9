"""Sensitivity against specificity: the curve of a decision, its operating point, and clinicians beside it.

Source: the axes of Esteva et al. 2017, figure 3.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dermtl.evaluation.formatting import below_text
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.evaluation.readers.plot import draw_readers
from dermtl.evaluation.readers.table import ReaderStudyResult
from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.plots import Plot, colour, plot
from dermtl.statistics.ranking import Ranking, RocCurve

_SIZE = (4.2, 4.4)


def sensitivity_plots(context: Context, head: str, probabilities: Probabilities) -> list[Plot]:
    """A plot for every frozen decision, and one for that of the readers, if it is another."""
    plots = []
    studied = context.evaluation.readers
    waiting = studied if studied and studied.decision.head == head else None
    for name, result in context.evaluation.decisions.get(head, {}).items():
        curve = Ranking(probabilities.score(result["positive"]), probabilities.holds(result["positive"])).curve()
        if not curve.known:
            continue
        beside = waiting if waiting and set(waiting.decision.positive) == set(result["positive"]) else None
        waiting = None if beside else waiting
        plots.append(_draw(name, curve, result["figures"], beside))
    if waiting:
        plots.append(_draw(" or ".join(waiting.decision.positive), waiting.study.curve(), None, waiting))
    return plots


def _draw(decision: str, curve: RocCurve, point: Mapping[str, Any] | None, studied: ReaderStudyResult | None) -> Plot:
    held = studied.study.curve() if studied else curve  # what the readers are held against

    def draw(axes: Any) -> None:
        axes.plot(*_points(curve), color=colour(0), linewidth=1.4, label="model")
        if studied and not _same(held, curve):
            read = f"model, the {len(studied.study.scores)} pictures read"
            axes.plot(*_points(held), color=colour(0), linewidth=1, linestyle="--", label=read)
        if studied:
            draw_readers(axes, studied.summary["readers"])
        if point:
            x, y = point["sensitivity"], point["specificity"]
            axes.errorbar(
                x["value"],
                y["value"],
                xerr=_bars(x),
                yerr=_bars(y),
                fmt="s",
                color="0.15",
                capsize=2,
                label="operating point, 95% intervals",
            )
        axes.legend(frameon=False, loc="lower left")
        axes.set(xlabel="sensitivity", ylabel="specificity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")

    text = f"Specificity against sensitivity of {decision}; area under the curve {curve.auroc():.3f}."
    if point:
        values = [point[name]["value"] for name in ("sensitivity", "specificity")]
        text += f" At the operating point sensitivity {values[0]:.3f}, specificity {values[1]:.3f}."
    if studied:
        mean = studied.summary["mean"]
        middle = [mean[name]["value"] for name in ("sensitivity", "specificity")]
        mean_text = "" if None in middle else f"; their mean {middle[0]:.3f} and {middle[1]:.3f}"
        text += f" Beside it readers: {below_text(studied.summary['below'])}{mean_text}."
    return plot(f"Sensitivity and specificity: {decision}", text, draw, size=_SIZE)


def _points(curve: RocCurve) -> tuple[Any, Any]:
    """Sensitivity and specificity at every threshold."""
    sensitivity = np.concatenate([[0], curve.true_positives / curve.num_positive])
    return sensitivity, 1 - np.concatenate([[0], curve.false_positives / curve.num_negative])


def _same(one: RocCurve, other: RocCurve) -> bool:
    return one.num_positive == other.num_positive and one.num_negative == other.num_negative


def _bars(figure: Mapping[str, Any]) -> list[list[float]] | None:
    """Wilson's interval where the bootstrap gives none, or one of no width."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if low is None or low == high:
        low, high = figure["wilson"]
    return None if low is None else [[max(value - low, 0.0)], [max(high - value, 0.0)]]
