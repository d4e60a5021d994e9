"""labelme: a JSON beside each picture, with shapes and flags.

Polygons, rectangles, circles and masks in pixels of the picture as it is shown; lines and points have no area and are
left out. A flag that is set says the class of the whole picture.

Source: labelme's documentation and label_file.py, github.com/wkentaro/labelme.
"""

import base64
import io
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.data.importers.document import documents, entries, plain, read_document
from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import Pictures, folder_of, split_of
from dermtl.data.importers.objects import Shape, ellipse, numbers, object_cells, polygon
from dermtl.data.importers.stated_size import refuse_other_size
from dermtl.errors import AnnotationError, ManifestError

_log = logging.getLogger(__name__)
_KEYS = ("shapes", "imageHeight", "imageWidth")  # at the file's ends; imagePath may lie between two long parts


class Labelme:
    """``label`` is the flag that is set, or else the class of the largest shape."""

    name = "labelme"
    summary = "labelme: JSON files with shapes, imagePath, imageHeight, imageWidth"

    def recognises(self, source: Path) -> bool:
        """A JSON with the keys of labelme."""
        return bool(documents(source, _KEYS, depth=3))

    def read(self, source: Path) -> Iterator[Row]:
        """One row for each JSON.

        Raises:
            DataError: A shape cannot be understood, or the sizes are not the file's.
        """
        folder = folder_of(source)
        pictures, left_out = Pictures(folder), Counter[str]()
        for path in documents(source, _KEYS, depth=3):
            content, where = read_document(path), path.name
            name = plain(content.get("imagePath")).replace("\\", "/")
            if not name:
                raise ManifestError("names no picture (imagePath)", where=str(path))
            beside = path.parent / name
            picture = beside if beside.is_file() else pictures.require(name.rpartition("/")[2], where)
            height, width = (int(n) for n in numbers(content, ("imageHeight", "imageWidth"), where))
            refuse_other_size({"height": height, "width": width}, picture, where)
            shapes = []
            for index, entry in enumerate(entries(content, "shapes", where)):
                shape = _shape(entry, (height, width), f"{where}: shape {index}")
                if shape is None:
                    left_out[plain(entry.get("shape_type"))] += 1
                else:
                    shapes.append(shape)
            drawn = f"masks/{path.relative_to(folder).with_suffix('').as_posix()}"
            row: dict[str, str | Path | RenderedImage] = {"image": picture, **object_cells(shapes, drawn)}
            flags = _flags(content, where)
            if len(flags) > 1:
                told = ", ".join(flags)
                raise AnnotationError(f"has several flags: {told}", where=where, hint="a picture has one class")
            if flags:
                row["label"] = flags[0]
            split = split_of(path.parent.name) if path.parent != folder else ""
            yield {**row, "split": split} if split else row
        if left_out:
            told = ", ".join(f"{num} {kind}" for kind, num in sorted(left_out.items()))
            _log.warning("left out, shapes without an area: %s", told)


def _flags(content: Mapping[str, Any], where: str) -> list[str]:
    flags = content.get("flags") or {}
    if not isinstance(flags, Mapping):
        raise AnnotationError(f"flags: expected an object, got {flags!r}", where=where)
    return [flag for flag, is_set in flags.items() if is_set]


def _shape(entry: Mapping[str, Any], hw: tuple[int, int], where: str) -> Shape | None:
    label, points = plain(entry.get("label")), entry.get("points")
    kind = entry.get("shape_type") or "polygon"  # which the first versions did not write
    if kind == "polygon":
        return polygon(label, points, hw, where)
    if kind not in ("rectangle", "circle", "mask"):
        return None
    try:
        (x0, y0), (x1, y1) = np.asarray(points, np.float64)
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"a {kind} has two points, got {points!r}", where=where) from error
    if kind == "circle":  # its centre and a point on its edge
        radius = float(np.hypot(x1 - x0, y1 - y0))
        return ellipse(label, (float(x0), float(y0)), (radius, radius), hw)
    left, top, right, bottom = (float(n) for n in (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
    if kind == "rectangle":
        return polygon(label, [(left, top), (right, top), (right, bottom), (left, bottom)], hw, where)
    box = (left, top, right - left + 1, bottom - top + 1)  # the corners are pixels of the mask
    encoded = entry.get("mask")
    area = float(_small_mask(encoded, where).sum())  # decoded again to be drawn: all rows' masks are too many to hold
    return Shape(label, box, area, partial(_mask, encoded, (int(left), int(top)), hw, where))


def _small_mask(encoded: Any, where: str) -> Array:
    """Bool, the pixels of the mask's box."""
    try:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)), formats=("PNG",)).convert("L")) > 0
    except (TypeError, ValueError, OSError) as error:
        raise AnnotationError(f"its mask cannot be understood: {error}", where=where) from error


def _mask(encoded: Any, at_xy: tuple[int, int], hw: tuple[int, int], where: str) -> Array:
    small, whole = _small_mask(encoded, where), np.zeros(hw, np.bool_)
    (left, top), (height, width) = at_xy, small.shape
    if min(left, top) < 0 or left + width > hw[1] or top + height > hw[0]:
        raise AnnotationError(f"its mask of {width}x{height} pixels at {left}, {top} leaves the picture", where=where)
    whole[top : top + height, left : left + width] = small
    return whole


importer = Labelme()
