"""Named points in the picture."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageDraw

from dermtl.arrays import Array
from dermtl.errors import AnnotationError
from dermtl.imaging.letterbox import Frame
from dermtl.imaging.view import View
from dermtl.kinds.drawing import PALETTE, stroke_px
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record


@dataclass(frozen=True)
class Points(Kind):
    """Annotation and value: float32 [P, 2], x and y in source pixels; target: in network pixels.

    Points may be outside the picture. An axis, the corners of a box and a polygon are points, too.

    Attributes:
        names: Names of the points, in the order of the outputs; their columns are ``<name>.x`` and ``<name>.y``.
    """

    kind: ClassVar[str] = "points"
    spatial: ClassVar[bool] = True
    names: tuple[str, ...]

    def read(self, record: Record) -> Array | None:
        """The points; None if all cells are empty."""
        cells = [record.number(f"{name}.{axis}") for name in self.names for axis in ("x", "y")]
        known = [cell for cell in cells if cell is not None]
        if not known:
            return None
        if len(known) < len(cells):
            raise AnnotationError(f"expected x and y of {', '.join(self.names)}, or none", where=record.where)
        return np.array(known, np.float32).reshape(-1, 2)

    def encode(self, annotation: Array, view: View) -> Array | None:
        """The points in the view; None if their mean is outside."""
        moved = view.affine.points(annotation)
        middle = moved.mean(axis=0)
        return moved.astype(np.float32) if ((middle >= 0) & (middle <= view.size)).all() else None

    def restore(self, value: Any, frame: Frame) -> Any:
        """The points in source pixels."""
        return frame.points(value)

    @property
    def shape(self) -> tuple[int | str, ...]:
        """[P, 2]."""
        return (len(self.names), 2)

    def to_json(self, value: Array) -> dict[str, Any]:
        """Name to x and y in pixels of the source picture."""
        return {"points": {name: [float(x), float(y)] for name, (x, y) in zip(self.names, value, strict=True)}}

    def columns(self, value: Array) -> dict[str, float]:
        """``<name>.x`` and ``<name>.y``."""
        return {
            f"{name}.{axis}": float(place)
            for name, point in zip(self.names, value, strict=True)
            for axis, place in zip("xy", point, strict=True)
        }

    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """A dot for each point, each in another colour."""
        canvas = image.copy()
        canvas.info.update(image.info)
        pen, radius = ImageDraw.Draw(canvas), 2 * stroke_px(image)
        for index, (x, y) in enumerate(value.tolist()):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=PALETTE[index % len(PALETTE)])
        return canvas
