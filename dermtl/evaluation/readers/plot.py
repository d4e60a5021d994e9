"""Readers on a model's sensitivity-specificity curve. Needs matplotlib."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from dermtl.evaluation.readers.study import ReaderStudy
from dermtl.files.plot_style import plot_style


def draw_readers(axes: Any, readers: Mapping[str, Mapping[str, Any]]) -> None:
    """A point a reader, and their mean with one standard deviation.

    A reader who read no positive, or no negative, picture is no point and in no mean.

    Args:
        axes: matplotlib's, sensitivity along x and specificity along y.
        readers: Reader to figures, the ``readers`` of :meth:`ReaderStudy.summarise`.
    """
    pairs = [(reader["sensitivity"]["value"], reader["specificity"]["value"]) for reader in readers.values()]
    points = np.array([pair for pair in pairs if None not in pair], np.float64).reshape(-1, 2)
    if not len(points):
        return
    axes.plot(*points.T, "o", color="#d55e00", alpha=0.8, label=f"readers ({len(points)})")
    spread = points.std(axis=0, ddof=1) if len(points) > 1 else np.zeros(2)
    middle = points.mean(axis=0)
    axes.errorbar(
        middle[0], middle[1], xerr=spread[0], yerr=spread[1], fmt="D", color="#009e73", capsize=3,
        label="their mean, one standard deviation",
    )  # fmt: skip


def readers_svg(study: ReaderStudy, summary: Mapping[str, Any], *, decision: str) -> str:
    """The curve and the readers; the same study gives the same text.

    Args:
        study: The decisions.
        summary: What :meth:`ReaderStudy.summarise` said of it.
        decision: What the readers decided on, for the title.

    Source: Esteva et al. 2017, figure 3: sensitivity along x, specificity along y.
    """
    from matplotlib.figure import Figure

    curve, below = study.curve(), summary["below"]
    counted = "not estimable how many" if below["value"] is None else f"{below['value']:.0f}"
    text = io.StringIO()
    with plot_style():
        figure = Figure(figsize=(5.2, 5.2), layout="constrained")
        axes = figure.add_subplot()
        sensitivity = np.concatenate([[0], curve.true_positives]) / curve.num_positive
        specificity = 1 - np.concatenate([[0], curve.false_positives]) / curve.num_negative
        axes.plot(sensitivity, specificity, color="#0072b2", label=f"model, AUC {_range(summary['model']['auroc'])}")
        draw_readers(axes, summary["readers"])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="sensitivity", ylabel="specificity", aspect="equal")
        axes.set_title(
            f"{decision}\n{counted} of {below['of']} readers below the curve "
            f"({summary['data']['images']} pictures, {summary['data']['positive']} positive)",
            loc="left",
            parse_math=False,
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower left", frameon=False)
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _range(figure: Mapping[str, float | None]) -> str:
    if figure["low"] is None:
        return f"{figure['value']:.2f}"
    return f"{figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"
