"""COCO: one JSON with images, annotations and categories; boxes become circles, segmentations masks.

Source: Lin et al. 2014, arXiv 1405.0312; the format's page at cocodataset.org.
"""

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.data.importers.document import documents, entries, plain, read_document
from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import Pictures, folder_of, split_of
from dermtl.data.importers.objects import Shape, object_cells
from dermtl.data.importers.raster import fill_polygon, fill_runs, unpack_runs
from dermtl.data.importers.stated_size import refuse_other_size
from dermtl.errors import AnnotationError, ManifestError
from dermtl.imaging.decode import MAX_PIXELS

_log = logging.getLogger(__name__)
_KEYS = ("images", "annotations", "categories")


class Coco:
    """``label`` and circle are those of a picture's largest object that is no crowd.

    The outlines of all objects of its category become one ``mask``.
    """

    name = "coco"
    summary = "a JSON with images, annotations and categories"

    def recognises(self, source: Path) -> bool:
        """A JSON with the three lists, here or one level down."""
        return bool(documents(source, _KEYS))

    def read(self, source: Path) -> Iterator[Row]:
        """The images of every such JSON; ``split`` where there are several and their names or folders tell it.

        Raises:
            DataError: The document or a segmentation cannot be understood.
        """
        found = documents(source, _KEYS)
        folder = folder_of(source)
        pictures = Pictures(folder.parent if folder.name == "annotations" else folder)
        for path in found:
            split = (split_of(path.stem) or split_of(path.parent.name)) if len(found) > 1 else ""
            drawn = "masks" if len(found) == 1 else f"masks/{path.relative_to(folder).with_suffix('').as_posix()}"
            for row in _rows(path, folder, pictures, drawn):
                yield {"split": split, **row} if split else row


def _rows(path: Path, folder: Path, pictures: Pictures, drawn: str) -> Iterator[Row]:
    content, where = read_document(path), path.name
    _refuse_odd_ids(content, where)
    categories = {str(entry.get("id")): plain(entry.get("name")) for entry in entries(content, "categories", where)}
    licences = {entry.get("id"): plain(entry.get("name")) for entry in entries(content, "licenses", where)}
    objects: dict[Any, list[Mapping[str, Any]]] = {}
    for entry in entries(content, "annotations", where):
        if not entry.get("iscrowd"):
            objects.setdefault(str(entry.get("image_id")), []).append(entry)  # some write 1 here and "1" there
    orphans = objects.keys() - {str(image.get("id")) for image in entries(content, "images", where)}
    if orphans:
        num, first = sum(len(objects[name]) for name in orphans), min(orphans)
        _log.warning("%s: %d objects belong to no image, such as one of image_id %s; left out", where, num, first)
    num_several = sum(len(found) > 1 for found in objects.values())
    if num_several:
        _log.warning(
            "%s: %d pictures hold several objects; the largest of each says the class",
            where,
            num_several,
        )
    for image in entries(content, "images", where):
        place = f"{where}: image {image.get('id')}"
        if not isinstance(image.get("file_name"), str):
            raise ManifestError("has no file_name", where=place)
        row: dict[str, str | Path | RenderedImage] = {
            key: plain(value) for key, value in image.items() if key not in ("file_name", "id", "license")
        }
        picture = row["image"] = _picture(image["file_name"].replace("\\", "/"), path, folder, pictures, place)
        row["image_id"] = plain(image.get("id"))
        if isinstance(image.get("license"), int | str):
            row["license"] = licences.get(image["license"], str(image["license"]))
        found = objects.get(str(image.get("id")), [])
        if found:
            refuse_other_size(image, picture, place)
        shapes = [_shape(entry, image, categories, f"{where}: annotation {entry.get('id')}") for entry in found]
        largest = max(found, key=_area).get("id") if found else ""
        yield row | object_cells(shapes, f"{drawn}/{plain(largest)}")


def _refuse_odd_ids(content: Mapping[str, Any], where: str) -> None:
    """Ids join the lists: they must be numbers or text."""
    keys = {"images": ("id",), "annotations": ("image_id", "category_id"), "categories": ("id",), "licenses": ("id",)}
    for name, wanted in keys.items():
        for entry in entries(content, name, where):
            for key in wanted:
                if not isinstance(entry.get(key), int | str):
                    place = f"{where}: {name} {entry.get('id')}"
                    raise ManifestError(f"{key}: expected a number, got {entry.get(key)!r}", where=place)


def _picture(name: str, path: Path, folder: Path, pictures: Pictures, where: str) -> Path:
    """The file beside the JSON, below the source, or of this name anywhere below it."""
    for start in (path.parent, folder, folder / "images", path.parent.parent / "images"):
        if (start / name).is_file():
            return start / name
    return pictures.find(PurePosixPath(name).name, where) or path.parent / name


def _area(entry: Mapping[str, Any]) -> float:
    if isinstance(entry.get("area"), int | float):
        return float(entry["area"])
    box = entry.get("bbox")
    if isinstance(box, list) and len(box) == 4 and all(isinstance(number, int | float) for number in box):
        return float(box[2] * box[3])
    return 0.0


def _shape(entry: Mapping[str, Any], image: Mapping[str, Any], categories: Mapping[Any, str], where: str) -> Shape:
    if str(entry.get("category_id")) not in categories:
        raise AnnotationError(f"unknown category {entry.get('category_id')!r}", where=where)
    box = None
    if stated := entry.get("bbox"):
        try:
            left, top, width, height = (float(number) for number in stated)
        except (TypeError, ValueError) as error:
            raise AnnotationError(f"bbox: expected x, y, width, height, got {stated!r}", where=where) from error
        box = (left, top, width, height)
    draw = None
    if outline := entry.get("segmentation"):
        try:
            hw = (int(image["height"]), int(image["width"]))
        except (KeyError, TypeError, ValueError) as error:
            raise AnnotationError("its image has no width and height", where=where) from error
        if not (hw[0] > 0 and hw[1] > 0 and hw[0] * hw[1] <= MAX_PIXELS):
            raise AnnotationError(f"its image is said to have {hw[1]}x{hw[0]} pixels", where=where)
        draw = partial(_mask, outline, hw, where)
    return Shape(categories[str(entry["category_id"])], box, _area(entry), draw)


def _mask(outline: Any, hw: tuple[int, int], where: str) -> Array:
    """Bool [H, W]."""
    try:
        return _inside(outline, hw, where)
    except (TypeError, ValueError) as error:
        hint = "expected polygons, or size and counts"
        raise AnnotationError(f"its segmentation cannot be understood: {error}", where=where, hint=hint) from error


def _inside(outline: Any, hw: tuple[int, int], where: str) -> Array:
    if isinstance(outline, Mapping):
        counts = outline.get("counts", "")
        size = outline.get("size", hw)
        if list(size) != list(hw):
            raise AnnotationError(f"the mask has the size {size}, its image {list(hw)}", where=where)
        return fill_runs(unpack_runs(counts, where) if isinstance(counts, str) else counts, hw, where)
    inside: Array = np.zeros(hw, np.bool_)
    is_flat = isinstance(outline, list) and all(isinstance(number, int | float) for number in outline)
    for points in [outline] if is_flat else outline:
        if len(points) < 6 or len(points) % 2:
            raise AnnotationError("a polygon needs at least three points x, y", where=where)
        corners = np.asarray(points, np.float64).reshape(-1, 2)
        if not np.isfinite(corners).all():
            raise AnnotationError("a polygon's corner is not finite", where=where)
        inside = inside | fill_polygon(corners, hw)
    return inside


importer = Coco()
