"""CVAT for images 1.1: one XML with every picture's boxes, polygons, ellipses, masks and tags.

Coordinates are in pixels of the picture, continuous, from its top-left corner. A mask's run lengths go row by row
through its box, background first.

Source: CVAT's documentation, XML annotation format.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import numpy as np

from dermtl.arrays import Array
from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import Pictures, files_of, folder_of, split_of
from dermtl.data.importers.objects import Shape, ellipse, numbers, object_cells, polygon, rectangle
from dermtl.data.importers.raster import fill_runs
from dermtl.data.importers.stated_size import refuse_other_size
from dermtl.data.importers.xml_document import read_xml
from dermtl.errors import AnnotationError, ManifestError

_log = logging.getLogger(__name__)
_PEEK_BYTES = 1 << 16


class Cvat:
    """``label`` is the picture's tag, or else the class of its largest object."""

    name = "cvat"
    summary = "CVAT for images 1.1: annotations.xml with image, polygon, box, mask, tag"

    def recognises(self, source: Path) -> bool:
        """An XML whose root is ``annotations`` with an ``image``."""
        return bool(_documents(source))

    def read(self, source: Path) -> Iterator[Row]:
        """One row for each picture; shapes of other kinds are counted and left out.

        Raises:
            DataError: A shape cannot be understood, or the sizes are not the file's.
        """
        folder = folder_of(source)
        pictures, left_out = Pictures(folder), Counter[str]()
        for path in _documents(source):
            for image in read_xml(path).iter("image"):
                where = f"{path.name}: image {image.get('id', '')}"
                name = (image.get("name") or "").replace("\\", "/")
                if not PurePosixPath(name).name:
                    raise ManifestError("names no picture (name)", where=where)
                picture = next(
                    (top / name for top in (path.parent, folder, folder / "images") if (top / name).is_file()),
                    None,
                ) or pictures.require(PurePosixPath(name).name, where)
                refuse_other_size(image.attrib, picture, where)
                height, width = (int(number) for number in numbers(image.attrib, ("height", "width"), where))
                shapes, tags = [], []
                for entry in image:
                    if entry.tag == "tag":
                        tags.append(entry.get("label", ""))
                    elif (shape := _shape(entry, (height, width), where)) is not None:
                        shapes.append(shape)
                    else:
                        left_out[entry.tag] += 1
                row: dict[str, str | Path | RenderedImage] = {"image": picture}
                row |= object_cells(shapes, f"masks/{PurePosixPath(name).with_suffix('').as_posix().lstrip('/')}")
                if tags:
                    row["label"] = tags[0] if len(set(tags)) == 1 else _several(tags, where)
                if split := split_of(image.get("subset", "")):
                    row["split"] = split
                yield row
        if left_out:
            told = ", ".join(f"{num} {tag}" for tag, num in sorted(left_out.items()))
            _log.warning("left out, neither areas nor classes: %s", told)


def _several(tags: list[str], where: str) -> str:
    raise AnnotationError(f"has several tags: {', '.join(tags)}", where=where, hint="a picture has one class")


def _shape(entry: ElementTree.Element, hw: tuple[int, int], where: str) -> Shape | None:
    label = entry.get("label", "")
    if entry.tag == "polygon":
        return polygon(label, [pair.split(",") for pair in entry.get("points", "").split(";")], hw, where)
    if entry.tag in ("box", "ellipse") and any(numbers({"rotation": 0, **entry.attrib}, ("rotation",), where)):
        return None
    if entry.tag == "box":
        x0, y0, x1, y1 = numbers(entry.attrib, ("xtl", "ytl", "xbr", "ybr"), where)
        return rectangle(label, (x0, y0, x1 - x0, y1 - y0), where)
    if entry.tag == "ellipse":
        cx, cy, rx, ry = numbers(entry.attrib, ("cx", "cy", "rx", "ry"), where)
        return ellipse(label, (cx, cy), (rx, ry), hw)
    if entry.tag == "mask":
        left, top, width, height = (int(n) for n in numbers(entry.attrib, ("left", "top", "width", "height"), where))
        try:
            runs = [int(run) for run in entry.get("rle", "").split(",")]
        except ValueError as error:
            raise AnnotationError(f"rle: expected numbers, got {entry.get('rle')!r}", where=where) from error
        inside = (left, top, width, height)
        return Shape(label, inside, float(sum(runs[1::2])), partial(_mask, runs, inside, hw, where))
    return None


def _mask(runs: list[int], box: tuple[int, int, int, int], hw: tuple[int, int], where: str) -> Array:
    left, top, width, height = box
    if min(left, top, width, height) < 0 or left + width > hw[1] or top + height > hw[0]:
        raise AnnotationError(f"the mask's box {box} leaves the picture", where=where)
    whole = np.zeros(hw, np.bool_)
    whole[top : top + height, left : left + width] = fill_runs(runs, (width, height), where).T  # row by row
    return whole


def _documents(source: Path) -> list[Path]:
    files = [source] if source.is_file() else files_of(source, {".xml"}, 3)
    return [path for path in files if path.suffix.lower() == ".xml" and _is_export(path)]


def _is_export(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_PEEK_BYTES)
    return b"<annotations>" in head and b"<image " in head


importer = Cvat()
