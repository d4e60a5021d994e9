"""ROC, sensitivity against specificity, and precision curves of a head that ranks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.plots import GREY, Plot, colour, grid, plot
from dermtl.evaluation.report.sections.sensitivity import sensitivity_plots
from dermtl.statistics.ranking import Ranking, RocCurve

_SERIES = 6  # curves that colours still tell apart; of more, every one has axes of its own
_LINE = 1.4
_POINTS = 400  # of a curve: more are not seen, but make the page heavy
_LONGEST = 24  # letters of a name above small axes


def view(context: Context, head: str) -> Mapping[str, Any] | None:
    """The plots of a head; None for heads that do not rank."""
    probabilities = context.evaluation.predictions.probabilities.get(head)
    if probabilities is None:
        return None
    curves = {
        name: curve
        for index, name in enumerate(probabilities.names)
        if (curve := Ranking(probabilities.values[:, index], probabilities.truth[:, index]).curve()).known
    }
    plots = [*sensitivity_plots(context, head, probabilities), *([_roc(curves), _precision(curves)] if curves else [])]
    studied = context.evaluation.readers
    return {
        "plots": plots,
        "left_out": [name for name in probabilities.names if name not in curves],
        "readers": studied.summary if studied and studied.decision.head == head else None,
    }


def _roc(curves: Mapping[str, RocCurve]) -> Plot:
    def points(curve: RocCurve) -> tuple[Array, Array]:
        false, true = curve.false_positives / curve.num_negative, curve.true_positives / curve.num_positive
        return np.concatenate([[0], false]), np.concatenate([[0], true])

    def chance(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")

    return _plot_curves(
        _Curves(
            "ROC, one class against the rest", "area", ("1 - specificity", "sensitivity"), points, chance, "lower right"
        ),
        curves,
        {name: curve.auroc() for name, curve in curves.items()},
    )


def _precision(curves: Mapping[str, RocCurve]) -> Plot:
    def points(curve: RocCurve) -> tuple[Array, Array]:
        precision = curve.true_positives / (curve.true_positives + curve.false_positives)
        return curve.true_positives / curve.num_positive, precision

    names = ("sensitivity", "precision (PPV at this prevalence)")
    return _plot_curves(
        _Curves(
            "Precision by sensitivity", "average precision", names, points, lambda axes: None, "lower left", "steps-pre"
        ),
        curves,
        {name: curve.average_precision() for name, curve in curves.items()},
    )


@dataclass(frozen=True)
class _Curves:
    """What is drawn of every curve.

    Attributes:
        title: Title of the plot.
        area: What the number beside a curve is.
        labels: Labels of the x axis and the y axis.
        points: A curve's x and y.
        ground: Drawn below the curves.
        corner: Where the legend is in nobody's way.
        style: How points are joined.
    """

    title: str
    area: str
    labels: tuple[str, str]
    points: Callable[[RocCurve], tuple[Array, Array]]
    ground: Callable[[Any], None]
    corner: str
    style: str = "default"

    def draw(self, axes: Any, curve: RocCurve, **look: Any) -> None:
        """One curve."""
        axes.plot(*_thin(*self.points(curve)), linewidth=_LINE, drawstyle=self.style, **look)


def _plot_curves(what: _Curves, curves: Mapping[str, RocCurve], areas: Mapping[str, float]) -> Plot:
    """All curves in one pair of axes, or each in its own where there are many."""

    def together(axes: Any) -> None:
        what.ground(axes)
        for index, (name, curve) in enumerate(curves.items()):
            what.draw(axes, curve, color=colour(index), label=f"{name} {areas[name]:.2f}")
        axes.legend(frameon=False, title=what.area, loc=what.corner)
        axes.set(xlabel=what.labels[0], ylabel=what.labels[1])
        _square(axes)

    def alone(name: str) -> Callable[[Any], None]:
        def draw(axes: Any) -> None:
            what.ground(axes)
            what.draw(axes, curves[name], color=colour(0))
            short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
            axes.set_title(f"{short}\n{areas[name]:.2f} (n {curves[name].num_positive})", fontsize=8)
            axes.tick_params(labelsize=7)
            axes.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
            _square(axes)

        return draw

    text = f"{what.title}; {what.area}: " + ", ".join(f"{name} {area:.3f}" for name, area in areas.items()) + "."
    if len(curves) <= _SERIES:
        return plot(what.title, text, together)
    return grid(f"{what.title}; {what.area} above", text, [alone(name) for name in curves], labels=what.labels)


def _thin(x: Array, y: Array) -> tuple[Array, Array]:
    """So many points of a curve as are seen, its ends among them."""
    if len(x) <= _POINTS:
        return x, y
    chosen = np.unique(np.linspace(0, len(x) - 1, _POINTS).round().astype(int))
    return x[chosen], y[chosen]


def _square(axes: Any) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
