"""How good the ends of an axis are, in pixels of the source picture. NumPy only."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl_landmarks.config import LandmarksConfig


class LandmarksMetrics:
    """Mean distance of the ends, error of the length, and the angle between the axes; 1 - distance / length leads."""

    primary: ClassVar[str] = "closeness"

    def __init__(self, config: LandmarksConfig) -> None:
        """Ends need nothing from their config."""

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record's ends and the true ones, float [2, 2] both; the better of both orders counts."""
        found, true = np.asarray(prediction["axis"], np.float64), np.asarray(annotation, np.float64)
        distance = min(float(np.hypot(*(ends - true).T).mean()) for ends in (found, found[::-1]))
        one, other = found[1] - found[0], true[1] - true[0]
        length, true_length = float(np.hypot(*one)), float(np.hypot(*other))
        cosine = abs(float(one @ other)) / max(length * true_length, 1e-9)
        return {
            "closeness": 1 - distance / true_length,
            "end_error_px": distance,
            "length_error_px": abs(length - true_length),
            "angle_error_deg": float(np.degrees(np.arccos(min(cosine, 1.0)))),
        }

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """The mean of every column."""
        return {name: float(np.mean(values)) for name, values in rows.items()}
