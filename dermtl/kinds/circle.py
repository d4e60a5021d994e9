"""A centre and a radius."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageDraw

from dermtl.arrays import Array
from dermtl.errors import AnnotationError
from dermtl.imaging.decode import read_mask
from dermtl.imaging.letterbox import Frame
from dermtl.imaging.view import View
from dermtl.kinds.drawing import PALETTE, stroke_px
from dermtl.kinds.kind import Kind
from dermtl.kinds.mask import foreground
from dermtl.kinds.record import Record

MAX_ANISOTROPY = 1.02  # the best circle still has IoU 0.99 with the true ellipse
MAX_BENT_PX = 1.0
MIN_VISIBLE = 0.6  # share of the disc that must stay inside an augmented view


@dataclass(frozen=True)
class Circle(Kind):
    """Annotation and value: float32 [3], centre x, centre y, radius in source pixels; target: in network pixels.

    Attributes:
        cx: Manifest column of the centre's x.
        cy: Manifest column of the centre's y.
        r: Manifest column of the radius.
        mask: Manifest column of a mask from which the circle is derived: centroid, and the radius of equal area.
        allow_anisotropic: Allow views that turn circles into ellipses; the circle keeps the area.
    """

    kind: ClassVar[str] = "circle"
    spatial: ClassVar[bool] = True
    cx: str = "cx"
    cy: str = "cy"
    r: str = "r"
    mask: str = ""
    allow_anisotropic: bool = False

    def read(self, record: Record) -> Array | None:
        """The circle; None if the cells or the mask are empty."""
        if self.mask:
            path = record.file(self.mask)
            return None if path is None else equal_area_circle(foreground(read_mask(path)))
        values = [record.number(column) for column in (self.cx, self.cy, self.r)]
        if all(value is None for value in values):
            return None
        if None in values:
            raise AnnotationError(f"expected all of {self.cx}, {self.cy}, {self.r} or none", where=record.where)
        circle = np.array(values, np.float32)
        x, y, radius = circle
        height, width = record.size_hw
        if radius <= 0:
            raise AnnotationError(f"column {self.r!r}: expected a radius above 0, got {radius:g}", where=record.where)
        if not (0 <= x <= width and 0 <= y <= height):
            raise AnnotationError(
                f"the circle's centre ({x:g}, {y:g}) lies outside the image of {width}x{height} pixels",
                where=record.where,
                hint="centres are in pixels of the stored image, after EXIF rotation",
            )
        return circle

    def encode(self, annotation: Array, view: View) -> Array | None:
        """Centre and radius in the view, r' = r * sqrt(|det A|); None if most of the disc is outside."""
        if not self.allow_anisotropic and (view.affine.anisotropy > MAX_ANISOTROPY or view.bent_px > MAX_BENT_PX):
            raise AnnotationError(
                f"an augmentation turns circles into ellipses (anisotropy {view.affine.anisotropy:.2f}, "
                f"bent by {view.bent_px:.1f} px)",
                hint="take shear, stretch, perspective and elastic out of training.augmentation, "
                "or set allow_anisotropic: true on the head",
            )
        x, y = view.affine.points(annotation[:2])
        radius = float(view.affine.lengths(annotation[2:])[0])
        if not (0 <= x <= view.size and 0 <= y <= view.size):
            return None
        before, after = self._visible(annotation, view.source_hw), _visible(x, y, radius, (view.size, view.size))
        return np.array([x, y, radius], np.float32) if after >= min(MIN_VISIBLE, before) - 0.02 else None

    @staticmethod
    def _visible(circle: Array, hw: tuple[int, int]) -> float:
        return _visible(float(circle[0]), float(circle[1]), float(circle[2]), hw)

    def restore(self, value: Any, frame: Frame) -> Any:
        """Centre and radius in source pixels."""
        return frame.concat([frame.points(value[..., :2]), frame.lengths(value[..., 2:])])

    @property
    def shape(self) -> tuple[int | str, ...]:
        """[3]."""
        return (3,)

    def to_json(self, value: Array) -> dict[str, Any]:
        """Centre and radius in pixels of the source picture."""
        return {"circle": self.columns(value)}

    def columns(self, value: Array) -> dict[str, float]:
        """cx, cy, r."""
        return dict(zip(("cx", "cy", "r"), (float(number) for number in value), strict=True))

    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """The outline and a cross at the centre."""
        canvas = image.copy()
        canvas.info.update(image.info)
        pen = ImageDraw.Draw(canvas)
        x, y, radius = (float(number) for number in value)
        width, cross = stroke_px(image), 3 * stroke_px(image)
        radius = max(radius, 0.0)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=PALETTE[2], width=width)
        pen.line((x - cross, y, x + cross, y), fill=PALETTE[2], width=width)
        pen.line((x, y - cross, x, y + cross), fill=PALETTE[2], width=width)
        return canvas


def equal_area_circle(mask: Array) -> Array | None:
    """The circle of a mask: its centroid, and the radius of a disc of equal area.

    Args:
        mask: [H, W], foreground above 0.

    Returns:
        float32 [3] in the mask's pixels, or None for an empty mask.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5, math.sqrt(len(rows) / math.pi)], np.float32)


def _visible(x: float, y: float, radius: float, hw: tuple[int, int], num: int = 24) -> float:
    """Share of a disc inside a frame, on a grid of points."""
    ticks = (np.arange(num) + 0.5) / num * 2 - 1
    dx, dy = np.meshgrid(ticks, ticks)
    inside = dx**2 + dy**2 <= 1
    px, py = x + dx * radius, y + dy * radius
    return float(((px >= 0) & (px <= hw[1]) & (py >= 0) & (py <= hw[0]) & inside).sum() / inside.sum())
