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
from dermtl.data.importers.formats.coco_size import refuse_other_size
from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import Pictures, folder_of, split_of
from dermtl.data.importers.objects import Shape, ellipse, numbers, object_cells, polygon
from dermtl.errors import AnnotationError, ManifestError

_log = logging.getLogger(__name__)
_KEYS = ("shapes", "imagePath", "imageHeight", "imageWidth")


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
            name = plain(content["imagePath"]).replace("\\", "/")
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
            flags = [flag for flag, is_set in (content.get("flags") or {}).items() if is_set]
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
    return Shape(label, box, box[2] * box[3], partial(_mask, entry.get("mask"), (int(left), int(top)), hw, where))


def _mask(encoded: Any, at_xy: tuple[int, int], hw: tuple[int, int], where: str) -> Array:
    try:
        small = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)), formats=("PNG",)).convert("L")) > 0
        whole = np.zeros(hw, np.bool_)
        left, top = at_xy
        whole[top : top + small.shape[0], left : left + small.shape[1]] = small
    except (TypeError, ValueError, OSError) as error:
        raise AnnotationError(f"its mask cannot be understood: {error}", where=where) from error
    return whole


importer = Labelme()
