"""How good grades are. NumPy only; NaN is "not estimable", never zero."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl_ordinal.config import OrdinalConfig
from dermtl_ordinal.kind import expected_level


class OrdinalMetrics:
    """Quadratic weighted kappa and accuracy of the likeliest level, and how many levels the expected one is off.

    Source: Cohen 1968, Weighted kappa: 1 - sum(w O) / sum(w E), w = (i - j)^2, O the table of levels, E the table that
    its margins would give by chance. NaN where chance alone would be never wrong.
    """

    primary: ClassVar[str] = "quadratic_kappa"

    def __init__(self, config: OrdinalConfig) -> None:
        """Levels need nothing from their config."""

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record: the likeliest and the expected level, and the true one."""
        probability = prediction["probability"]
        return {
            "decided": float(np.argmax(probability)),
            "expected": expected_level(probability),
            "true": float(annotation),
        }

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Rows stacked, [n] each, to values."""
        decided, true = rows["decided"], rows["true"]
        by_chance = float(((decided[:, None] - true[None]) ** 2).mean())
        observed = float(((decided - true) ** 2).mean())
        return {
            "quadratic_kappa": 1 - observed / by_chance if by_chance > 0 else float("nan"),
            "accuracy": float((decided == true).mean()),
            "level_error": float(np.abs(rows["expected"] - true).mean()),
        }
