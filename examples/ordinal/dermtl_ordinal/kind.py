"""An ordered grade: a category whose classes have an order, shown with its expected level. NumPy only."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dermtl.api import Array, Category, Kind


@dataclass(frozen=True)
class Grade(Category):
    """Annotation and target: int64 [], the level, 0 the lowest. Value: float32 [K], probabilities that sum to one."""

    kind: ClassVar[str] = "grade"

    def core_kind(self) -> Kind:
        """A plain category: a model file needs no order."""
        return Category(self.classes, self.column)

    def to_json(self, value: Array) -> dict[str, Any]:
        """As a category, and the expected level."""
        return {**super().to_json(value), "expected_level": expected_level(value)}


def expected_level(probability: Array) -> float:
    """Mean level, in 0..K-1, under float [K]."""
    return float(np.asarray(probability, np.float64) @ np.arange(len(probability)))
