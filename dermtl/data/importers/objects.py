"""Drawn objects of one picture, as annotation tools store them, as the cells of its row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.data.importers.importer import RenderedImage
from dermtl.data.importers.raster import fill_polygon
from dermtl.errors import AnnotationError

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shape:
    """One object.

    Attributes:
        label: Class of the object.
        box: Left, top, width and height in pixels of the upright picture; None if the source states none.
        area: Area in square pixels; compared with that of the other objects of the picture.
        draw: Gives bool [H, W]; None if the object is a box alone.
    """

    label: str
    box: Box | None
    area: float
    draw: Callable[[], Array] | None = None


def object_cells(shapes: Sequence[Shape], mask_name: str) -> dict[str, str | Path | RenderedImage]:
    """``label``, circle and ``mask`` of a picture with several objects.

    The class and the circle are those of the largest object; the circle has the mean of its box's half sides. The mask
    unites the largest with all other objects of its class.

    Args:
        shapes: The picture's objects; none: no cell but ``num_objects``.
        mask_name: Path without suffix below the folder of written pictures.
    """
    row: dict[str, str | Path | RenderedImage] = {"num_objects": str(len(shapes))}
    if not shapes:
        return row
    largest = max(shapes, key=lambda shape: shape.area)
    row["label"] = largest.label
    if largest.box is not None:
        left, top, width, height = largest.box
        circle = (left + width / 2, top + height / 2, (width + height) / 4)
        row |= dict(zip(("cx", "cy", "r"), map("{:.10g}".format, circle), strict=True))
    drawn = [shape.draw for shape in shapes if shape.draw is not None and shape.label == largest.label]
    if drawn:
        row["mask"] = RenderedImage(mask_name, partial(_unite, drawn))
    return row


def polygon(label: str, points: Any, hw: tuple[int, int], where: str) -> Shape:
    """An object with one closed outline.

    Args:
        label: Class of the object.
        points: Pairs of x and y in pixels, three or more.
        hw: Height and width of the picture in pixels.
        where: The object, for messages.

    Raises:
        AnnotationError: The points are none.
    """
    try:
        corners = np.asarray(points, np.float64)
    except (TypeError, ValueError) as error:
        raise AnnotationError("expected pairs of x and y", where=where) from error
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise AnnotationError("a polygon needs at least three finite points x, y", where=where)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    x, y = corners.T
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2  # the shoelace formula
    box = (float(left), float(top), float(right - left), float(bottom - top))
    return Shape(label, box, area, partial(fill_polygon, corners, hw))


def ellipse(label: str, centre_xy: tuple[float, float], radii_xy: tuple[float, float], hw: tuple[int, int]) -> Shape:
    """An upright ellipse; the pixels whose centre lies inside.

    Args:
        label: Class of the object.
        centre_xy: Centre in pixels.
        radii_xy: Half axes in pixels.
        hw: Height and width of the picture in pixels.
    """
    (cx, cy), (rx, ry) = centre_xy, radii_xy

    def draw() -> Array:
        y, x = np.arange(hw[0])[:, None] + 0.5, np.arange(hw[1])[None] + 0.5
        return np.asarray(((x - cx) / max(rx, 1e-9)) ** 2 + ((y - cy) / max(ry, 1e-9)) ** 2 <= 1)

    return Shape(label, (cx - rx, cy - ry, 2 * rx, 2 * ry), float(np.pi * rx * ry), draw)


def rectangle(label: str, box: Box, where: str) -> Shape:
    """A box alone, which gives no mask.

    Raises:
        AnnotationError: Its corners are exchanged.
    """
    if min(box[2:]) < 0:
        raise AnnotationError(f"a box of {box[2]:g} times {box[3]:g} pixels", where=where)
    return Shape(label, box, box[2] * box[3])


def numbers(cells: Mapping[str, Any], names: Sequence[str], where: str) -> tuple[float, ...]:
    """Finite numbers under some keys.

    Raises:
        AnnotationError: One is missing or no number.
    """
    found = []
    for name in names:
        try:
            value = float(cells[name])
        except (KeyError, TypeError, ValueError):
            value = float("nan")
        if not np.isfinite(value):
            raise AnnotationError(f"{name}: expected a number, got {cells.get(name)!r}", where=where)
        found.append(value)
    return tuple(found)


def _unite(drawn: Sequence[Callable[[], Array]]) -> Array:
    """uint8 [H, W] of 0 and 255."""
    return np.asarray(np.logical_or.reduce([draw() for draw in drawn]) * np.uint8(255))
