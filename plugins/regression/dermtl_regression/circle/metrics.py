"""Metrics of circles, in pixels of the source picture. NumPy only, no torch."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl.statistics import weighted_means, weighted_quantile
from dermtl_regression.circle.config import CircleConfig

DETECTION_IOU = (0.5, 0.75, 0.9)
QUANTILES = {"circle_iou": (0.5,), "centre_error_px": (0.5, 0.9)}


class CircleMetrics:
    """Errors of centre and radius, IoU of the discs, their quantiles, and the share of records above three IoUs."""

    primary: ClassVar[str] = "circle_iou"

    def __init__(self, config: CircleConfig) -> None:
        """The config is not needed."""

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record's circle against the true one, float [3] both, in source pixels."""
        predicted, true = np.asarray(prediction["circle"], np.float64), np.asarray(annotation, np.float64)
        centre_px = float(np.hypot(*(predicted[:2] - true[:2])))
        radius_px, true_px = float(predicted[2] - true[2]), float(true[2])
        overlap = float(circle_iou(predicted, true))
        return {
            "circle_iou": overlap,
            "centre_error_px": centre_px,
            "centre_error_r": centre_px / true_px,
            "radius_bias_px": radius_px,
            "radius_error_px": abs(radius_px),
            "radius_error_rel": abs(radius_px) / true_px,
            **{f"detection_rate_{threshold * 100:.0f}": overlap >= threshold for threshold in DETECTION_IOU},
        }

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """The mean of every column, and the quantiles ``<column>_p50`` and ``_p90`` of some.

        ``detection_rate_<t>`` is the share of records with an IoU of at least t percent. A quantile is the smallest
        value of a record that is not exceeded by this share of the records.
        """
        return self.weighted(rows)(np.ones(len(rows["circle_iou"]), np.int64))

    def weighted(self, rows: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
        """The same for weights, int [n], with all sorting done once."""
        means = weighted_means(rows)
        quantiles = {column: weighted_quantile(rows[column]) for column in QUANTILES}

        def figures(weights: Array) -> dict[str, float]:
            found = {
                f"{column}_p{q * 100:.0f}": quantiles[column](weights, q)
                for column, qs in QUANTILES.items()
                for q in qs
            }
            return {**means(weights), **found}

        return figures


def circle_iou(one: Array, other: Array) -> Array:
    """Intersection over union of discs; a disc of radius 0 or less is empty.

    Args:
        one: float [..., 3], centre x, centre y, radius, in any one unit.
        other: float [..., 3].

    Returns:
        float64 [...] in 0..1.

    Source: area of the lens of two circles, from their two circular segments.
    """
    distance = np.hypot(one[..., 0] - other[..., 0], one[..., 1] - other[..., 1])
    radius, other_radius = np.maximum(one[..., 2], 0.0), np.maximum(other[..., 2], 0.0)
    small, reach = np.minimum(radius, other_radius), radius + other_radius
    crossing = (distance < reach) & (distance > np.abs(radius - other_radius))
    intersection = np.where(distance < reach, np.pi * small**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        intersection = np.where(crossing, _lens(distance, radius, other_radius), intersection)
        union = np.pi * (radius**2 + other_radius**2) - intersection
        return np.asarray(np.where(union > 0, intersection / union, 0.0))


def _lens(distance: Array, radius: Array, other_radius: Array) -> Array:
    """Area common to two circles that cross; NaN elsewhere."""
    cosine = (distance**2 + radius**2 - other_radius**2) / (2 * distance * radius)
    other_cosine = (distance**2 + other_radius**2 - radius**2) / (2 * distance * other_radius)
    kite = (
        (-distance + radius + other_radius)
        * (distance + radius - other_radius)
        * (distance - radius + other_radius)
        * (distance + radius + other_radius)
    )
    segments = radius**2 * np.arccos(np.clip(cosine, -1, 1)) + other_radius**2 * np.arccos(np.clip(other_cosine, -1, 1))
    return np.asarray(segments - np.sqrt(np.maximum(kite, 0.0)) / 2)
