"""Plain numbers with units."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.kinds.drawing import caption
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record


@dataclass(frozen=True)
class Number(Kind):
    """Annotation, target and value: float32 [D].

    Attributes:
        names: Manifest columns, in the order of the outputs.
        units: Unit of each name; empty text: none.
    """

    kind: ClassVar[str] = "number"
    names: tuple[str, ...]
    units: tuple[str, ...] = ()

    def read(self, record: Record) -> Array | None:
        """The numbers; None if any cell is empty."""
        values = [record.number(name) for name in self.names]
        known = [value for value in values if value is not None]
        return np.array(known, np.float32) if len(known) == len(self.names) else None

    @property
    def shape(self) -> tuple[int | str, ...]:
        """[D]."""
        return (len(self.names),)

    def to_json(self, value: Array) -> dict[str, Any]:
        """Name to number, and name to unit if it has one."""
        units = {name: unit for name, unit in zip(self.names, self.units, strict=False) if unit}
        return {"value": self.columns(value), **({"units": units} if units else {})}

    def columns(self, value: Array) -> dict[str, float]:
        """Name to number."""
        return {name: float(number) for name, number in zip(self.names, value, strict=True)}

    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """The numbers as text."""
        units = self.units or ("",) * len(self.names)
        return caption(image, [f"{n} {v:.3g} {u}".rstrip() for n, v, u in zip(self.names, value, units, strict=True)])
