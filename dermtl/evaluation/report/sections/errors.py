"""How large the errors of circles and outlines are, and what the best, the median and the worst cases look like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.plots import GREY, Plot, colour, photograph, plot
from dermtl.imaging.decode import read_image
from dermtl.kinds import Kind

_CASES = 3  # of the best, of the median, of the worst
_WIDE_PX = 520


@dataclass(frozen=True)
class Case:
    """One picture, its truth drawn at the left and its prediction at the right.

    Attributes:
        place: ``best``, ``median`` or ``worst``.
        image: Name of the picture in the table.
        value: Value of the head's primary metric on the picture.
        url: The drawing.
    """

    place: str
    image: str
    value: float
    url: str


def view(context: Context, head: str) -> Mapping[str, Any] | None:
    """Plots and cases of a head; None for heads whose truth does not move with the picture."""
    plan, metric = context.plans[head], context.evaluation.primary[head]
    values = context.evaluation.predictions.record_scores[head].table.get(metric)
    if not plan.target.spatial or values is None or values.ndim != 1 or not len(values):
        return None
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(-values[known], kind="stable")]
    plots = [_histogram(metric, values[known]), *_sizes(context, head)]
    return {"metric": metric, "plots": plots, "cases": _cases(context, head, values, order)}


def _histogram(metric: str, values: Array) -> Plot:
    middle = float(np.median(values))

    def draw(axes: Any) -> None:
        shares = values.min() >= 0 and values.max() <= 1
        axes.hist(values, bins=20, range=(0, 1) if shares else None, color=colour(2))
        axes.axvline(middle, color=colour(0), linewidth=1.2, linestyle="--", label=f"median {middle:.3g}")
        axes.set(xlabel=metric, ylabel="pictures")
        axes.legend(frameon=False)

    text = f"{metric} of {len(values)} pictures: median {middle:.3g}, lowest {values.min():.3g}."
    return plot(f"{metric}, picture by picture", text, draw)


def _sizes(context: Context, head: str) -> list[Plot]:
    """Predicted against true size: the radius of circles, the area of outlines."""
    plots: list[Plot] = []
    predictions = context.evaluation.predictions
    truths = predictions.truths.get(head)
    if truths is None:
        return plots
    classes = getattr(context.plans[head].target, "classes", ())
    for column in ("r", *(f"{name}.area_px" for name in classes)):
        output = next((name for name in context.plans[head].outputs if column in predictions.columns[name]), None)
        if output is None or column not in truths.columns:
            continue
        true = truths.columns[column][truths.known]
        predicted = predictions.outputs[output][truths.known, predictions.columns[output].index(column)]

        def draw(axes: Any, true: Array = true, predicted: Array = predicted, column: str = column) -> None:
            top = float(max(true.max(), predicted.max(), 1.0)) * 1.05
            axes.plot([0, top], [0, top], color=GREY, linewidth=0.8, linestyle="--")
            axes.scatter(true, predicted, s=10, alpha=0.6, color=colour(0), edgecolors="none")
            axes.set(xlabel=f"true {column}", ylabel=f"predicted {column}", xlim=(0, top), ylim=(0, top))

        text = f"Predicted against true {column}; mean difference {np.mean(predicted - true):.3g} px."
        plots.append(plot(f"Predicted and true {column}", text, draw))
    return plots


def _cases(context: Context, head: str, values: Array, order: Array) -> list[Case]:
    if context.predict is None:
        return []
    middle = max(0, (len(order) - _CASES) // 2)
    parts = {"best": order[:_CASES], "median": order[middle : middle + _CASES], "worst": order[::-1][:_CASES]}
    chosen: dict[int, str] = {}
    for place in ("worst", "best", "median"):  # with few pictures one is shown once, and the worst are never lost
        for row in parts[place]:
            chosen.setdefault(int(row), place)
    indices = context.evaluation.predictions.record_scores[head].indices
    cases = [_case(context, head, row, int(indices[row]), place, values) for row, place in chosen.items()]
    return sorted(cases, key=lambda case: ("best", "median", "worst").index(case.place))


def _case(context: Context, head: str, row: int, index: int, place: str, values: Array) -> Case:
    assert context.predict is not None
    record, plan = context.records[index], context.plans[head]
    (predicted,) = context.predict([record])
    picture = Image.fromarray(read_image(record.path))
    annotation = plan.target.read(record)
    left, right = picture, picture
    for output, kind in plan.outputs.items():
        if kind.spatial:
            right = kind.draw(right, predicted[output])
            if annotation is not None and isinstance(plan.target, type(kind)):
                left = kind.draw(left, _truth(kind, annotation))
    pair = np.concatenate([np.asarray(left.convert("RGB")), np.asarray(right.convert("RGB"))], axis=1)
    return Case(place, record.image, float(values[row]), photograph(pair, width_px=_WIDE_PX))


def _truth(kind: Kind, annotation: Array) -> Array:
    return kind.perfect_value(annotation)
