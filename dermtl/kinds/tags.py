"""Independent labels, any number of which may apply."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.errors import AnnotationError
from dermtl.kinds.drawing import caption
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record


@dataclass(frozen=True)
class Tags(Kind):
    """Annotation and target: float32 [K] of 0 and 1. Value: float32 [K], one probability per label.

    Attributes:
        labels: Names in the order of the outputs.
        column: Manifest column with the names of the labels that apply; empty: one 0/1 column per label.
        separator: Separator of the names in that column.
    """

    kind: ClassVar[str] = "tags"
    labels: tuple[str, ...]
    column: str = ""
    separator: str = "|"

    def read(self, record: Record) -> Array | None:
        """Which labels apply. One column: an empty cell means none, NA unknown. Several: any empty cell: unknown."""
        if self.column and record.is_unknown(self.column):
            return None
        if self.column:
            text = record.text(self.column)
            names = [name.strip() for name in (text or "").split(self.separator) if name.strip()]
            unknown = sorted(set(names) - set(self.labels))
            if unknown:
                raise AnnotationError(
                    f"column {self.column!r}: unknown label {unknown[0]!r}",
                    where=record.where,
                    hint=f"the labels are {', '.join(self.labels)}",
                )
            return np.array([label in names for label in self.labels], np.float32)
        numbers = [record.number(label) for label in self.labels]
        known = [number for number in numbers if number is not None]
        for label, number in zip(self.labels, numbers, strict=True):
            if number not in (None, 0.0, 1.0):
                raise AnnotationError(f"column {label!r}: expected 0 or 1, got {number:g}", where=record.where)
        return np.array(known, np.float32) if len(known) == len(self.labels) else None

    @property
    def shape(self) -> tuple[int | str, ...]:
        """[K]."""
        return (len(self.labels),)

    def to_json(self, value: Array) -> dict[str, Any]:
        """The labels with a probability of at least one half, and every probability."""
        return {"labels": self._present(value), "probability": self.columns(value)}

    def columns(self, value: Array) -> dict[str, float]:
        """Label to probability."""
        return {name: float(score) for name, score in zip(self.labels, value, strict=True)}

    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """The labels with a probability of at least one half, as text."""
        return caption(image, [", ".join(self._present(value)) or "none"])

    def _present(self, value: Array) -> list[str]:
        return [label for label, score in zip(self.labels, value, strict=True) if score >= 0.5]
