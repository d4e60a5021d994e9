"""Metrics of outlines, on the pixels of the source picture. NumPy only, no torch."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, PartialMask, Prediction
from dermtl.statistics import weighted_means
from dermtl_segmentation.boundary import boundary_scores
from dermtl_segmentation.config import SegmentationConfig

FAILURE_JACCARD = 0.65
_NAN = float("nan")


class SegmentationMetrics:
    """Dice, Jaccard, thresholded Jaccard, sensitivity, specificity, failure rate, edges: per image, then the mean.

    With several classes an image's value is the mean over the classes in its truth or its prediction. An image whose
    true and predicted masks are empty scores 1. Sensitivity is NaN without a true pixel and specificity without a true
    background pixel, and such images are left out of means. The distance of edges is NaN if one mask is empty;
    ``hd95_undefined`` is the share of such images.

    Source: the ISIC 2018 scorer for the thresholded Jaccard (below 0.65 counts 0) and for empty masks.
    """

    primary: ClassVar[str] = "dice"

    def __init__(self, config: SegmentationConfig) -> None:
        self._mask = config.mask()

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One image.

        Args:
            prediction: ``mask``, float [C, H, W], probabilities.
            annotation: uint8 [H, W], 0 for background and 1..C; pixels of 255 do not count, and edges are
                measured as if they were background in both masks.
        """
        decided = self._mask.decide(np.asarray(prediction["mask"]))
        if decided.shape != annotation.shape:
            raise ValueError(f"predicted mask has shape {decided.shape}, true mask {annotation.shape}")
        counted = annotation != PartialMask.IGNORED
        decided = np.where(counted, decided, 0)
        counts = {
            name: _counts((decided == number)[counted], (annotation == number)[counted])
            for number, name in enumerate(self._mask.classes, start=1)
        }
        edges = [
            boundary_scores(decided == number, annotation == number)
            for number, name in enumerate(self._mask.classes, start=1)
            if any(counts[name][:3])
        ]
        dice = {name: _ratio(2 * both, 2 * both + extra + missed) for name, (both, extra, missed, _) in counts.items()}
        jaccard = mean_known((_ratio(c[0], c[0] + c[1] + c[2]) for c in counts.values()), none=1.0)
        row = {
            "dice": mean_known(dice.values(), none=1.0),
            "jaccard": jaccard,
            "thresholded_jaccard": jaccard if jaccard >= FAILURE_JACCARD else 0.0,
            "sensitivity": mean_known(_ratio(both, both + missed) for both, _, missed, _ in counts.values()),
            "specificity": mean_known(_ratio(neither, neither + extra) for _, extra, _, neither in counts.values()),
            "failure_rate": bool(jaccard < FAILURE_JACCARD),
            "hd95_pooled_px": mean_known((edge["hd95_pooled_px"] for edge in edges), none=_NAN if edges else 0.0),
            "hd95_undefined": any(math.isnan(edge["hd95_pooled_px"]) for edge in edges),
            "surface_dice": mean_known((edge["surface_dice"] for edge in edges), none=1.0),
        }
        return row if len(dice) == 1 else {**row, **{f"dice.{name}": value for name, value in dice.items()}}

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """The mean of every column over the images that have it; in 0..1, distances in pixels."""
        return self.weighted(rows)(np.ones(len(rows["dice"]), np.int64))

    def weighted(self, rows: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
        """The same for weights, int [n]."""
        return weighted_means(rows)


def mean_known(values: Iterable[float], none: float = _NAN) -> float:
    """Mean of the values that are not NaN; ``none`` if all are."""
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else none


def _counts(found: Array, true: Array) -> tuple[int, int, int, int]:
    """Pixels in both, in the first only, in the second only, in neither; bool arrays of one shape."""
    both, num_found, num_true = int((found & true).sum()), int(found.sum()), int(true.sum())
    return both, num_found - both, num_true - both, found.size - num_found - num_true + both


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else _NAN
