"""How good class probabilities are. NumPy only; NaN is "not estimable", never zero."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl.statistics import mean_known
from dermtl_attention_pool.config import AttentionPoolConfig


class AttentionPoolMetrics:
    """Sensitivity of every class, and their mean over the classes that occur."""

    primary: ClassVar[str] = "balanced_accuracy"

    def __init__(self, config: AttentionPoolConfig) -> None:
        self._classes = config.classes

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record: the likeliest class, and the true one."""
        return {"decided": float(np.argmax(prediction["probability"])), "true": float(annotation)}

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Rows stacked, [n] both, to values in 0..1."""
        right = rows["decided"] == rows["true"]
        sensitivity = {
            name: float(right[there].mean()) if (there := rows["true"] == index).any() else float("nan")
            for index, name in enumerate(self._classes)
        }
        named = {f"sensitivity.{name}": value for name, value in sensitivity.items()}
        return {"balanced_accuracy": mean_known(sensitivity.values()), **named}
