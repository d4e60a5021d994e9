"""One of K classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.errors import AnnotationError
from dermtl.kinds.drawing import caption
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record


@dataclass(frozen=True)
class Category(Kind):
    """Annotation and target: int64 [], the index of the class. Value: float32 [K], probabilities that sum to one.

    Attributes:
        classes: Names in the order of the outputs.
        column: Manifest column with the name of the class.
    """

    kind: ClassVar[str] = "category"
    classes: tuple[str, ...]
    column: str = "label"

    def read(self, record: Record) -> Array | None:
        """The class index; an empty cell is no annotation."""
        text = record.text(self.column)
        if text is None:
            return None
        if text not in self.classes:
            near = get_close_matches(text, self.classes, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the classes are {', '.join(self.classes)}"
            raise AnnotationError(f"column {self.column!r}: unknown class {text!r}", where=record.where, hint=hint)
        return np.asarray(self.classes.index(text), np.int64)

    @property
    def shape(self) -> tuple[int | str, ...]:
        """[K]."""
        return (len(self.classes),)

    def to_json(self, value: Array) -> dict[str, Any]:
        """The most probable class and every probability."""
        best = int(np.argmax(value))
        return {"label": self.classes[best], "probability": self.columns(value)}

    def columns(self, value: Array) -> dict[str, float]:
        """Class to probability."""
        return {name: float(score) for name, score in zip(self.classes, value, strict=True)}

    def truth_columns(self, annotation: Array) -> Mapping[str, float | str]:
        """``class``, the name of the true one."""
        return {"class": self.classes[int(annotation)]}

    def perfect_value(self, annotation: Array) -> Array:
        """Probability 1 of the true class."""
        return np.asarray(np.eye(len(self.classes), dtype=np.float32)[int(annotation)])

    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """The most probable class, and up to two more with at least half a percent, as text."""
        best = [index for rank, index in enumerate(np.argsort(value)[::-1][:3]) if rank == 0 or value[index] >= 0.005]
        return caption(image, ["   ".join(f"{self.classes[i]} {value[i]:.0%}" for i in best)])
