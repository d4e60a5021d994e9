"""The figures, by scikit-learn and from definitions, with no code of dermtl: the witness must not be ours.

A metric is a function of the rows that were drawn, so that the bootstrap may draw them again.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from benchmarks.recipes.datasets import Picture
from benchmarks.recipes.store import Predictions

Array = NDArray[Any]
Metric = Callable[[Array], float]  # of the indices of pictures


def metrics(pictures: list[Picture], found: Predictions) -> dict[str, Metric]:
    """The metrics that the predictions allow, over pictures that all have a prediction.

    Returns:
        Name to metric. ``balanced_accuracy``, ``macro_auroc`` (one against the rest); ``dice`` (mean over pictures);
        ``detection_rate`` (share of circles with IoU of 0.5 or more), ``radius_error`` and ``centre_error`` (means, as
        shares of the longer side).
    """
    measured: dict[str, Metric] = {}
    images = [picture.image for picture in pictures]
    if found.labels:
        measured |= _of_classes([picture.label for picture in pictures], [found.labels[image] for image in images])
    if found.masks:
        pairs = ((picture, found.masks[picture.image]) for picture in pictures)
        measured["dice"] = _mean([dice(_mask(picture.mask), _mask(mask)) for picture, mask in pairs])
    if found.circles:
        truth = np.array([picture.circle for picture in pictures])
        given = np.array([found.circles[image] for image in images])
        side = np.array([max(picture.width, picture.height) for picture in pictures])
        overlaps = [circle_iou(*pair) for pair in zip(truth.tolist(), given.tolist(), strict=True)]
        measured["detection_rate"] = _mean([overlap >= 0.5 for overlap in overlaps])
        measured["radius_error"] = _mean(np.abs(given[:, 2] - truth[:, 2]) / side)
        measured["centre_error"] = _mean(np.hypot(*(given[:, :2] - truth[:, :2]).T) / side)
    return measured


def _of_classes(labels: list[str], rows: list[dict[str, float]]) -> dict[str, Metric]:
    classes = sorted(rows[0])
    truth = np.array([classes.index(label) for label in labels])
    probability = np.array([[row[name] for name in classes] for row in rows])
    probability /= probability.sum(1, keepdims=True)  # written with few digits, they need not sum to one
    decided = probability.argmax(1)

    def area(drawn: Array) -> float:
        if len(classes) == 2:
            return float(roc_auc_score(truth[drawn], probability[drawn, 1]))
        return float(roc_auc_score(truth[drawn], probability[drawn], multi_class="ovr", labels=np.arange(len(classes))))

    return {
        "balanced_accuracy": lambda drawn: float(balanced_accuracy_score(truth[drawn], decided[drawn])),
        "macro_auroc": area,
    }


def _mean(values: Any) -> Metric:
    column = np.asarray(values, float)
    return lambda drawn: float(column[drawn].mean())


def _mask(source: Path | str | None) -> Array:
    with Image.open(str(source)) as file:
        return np.asarray(file.convert("L")) > 127


def dice(one: Array, other: Array) -> float:
    """2 |A and B| / (|A| + |B|) of two outlines; 1 if both are empty."""
    total = one.sum() + other.sum()
    return float(2 * (one & other).sum() / total) if total else 1.0


def circle_iou(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Intersection over union of two circles (cx, cy, r), from the lens's area."""
    apart, r, s = math.dist(one[:2], other[:2]), one[2], max(other[2], 0.0)
    if apart >= r + s:
        return 0.0
    if apart <= abs(r - s):
        return min(r, s) ** 2 / max(r, s) ** 2
    alpha = math.acos((apart**2 + r**2 - s**2) / (2 * apart * r))
    beta = math.acos((apart**2 + s**2 - r**2) / (2 * apart * s))
    lens = r**2 * (alpha - math.sin(2 * alpha) / 2) + s**2 * (beta - math.sin(2 * beta) / 2)
    return lens / (math.pi * (r**2 + s**2) - lens)
