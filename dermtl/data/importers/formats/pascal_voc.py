"""Pascal VOC: ``Annotations/*.xml`` or an XML beside each picture, ``SegmentationClass``, lists in ``ImageSets``.

Boxes hold the first and last pixel, counted from 1. A mask is the file as it is: the numbers of classes, 255 for what
is to be ignored.

Source: Everingham et al. 2010, doi 10.1007/s11263-009-0275-4; the development kit's documentation, VOC 2012, section 3.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import Pictures, files_of, folder_of
from dermtl.data.importers.objects import Shape, numbers, object_cells, rectangle
from dermtl.data.importers.stated_size import refuse_other_size
from dermtl.data.importers.xml_document import read_xml, text_of
from dermtl.errors import ManifestError

_PEEK_BYTES = 1 << 12
_ROOT = re.compile(rb"<annotation[\s>]")  # labelImg writes verified="yes" into it
_MASKS = ("SegmentationClass", "SegmentationObject")


class PascalVoc:
    """``label`` and circle are the largest object's; objects that are marked difficult count like others."""

    name = "pascal_voc"
    summary = "Pascal VOC: XML files with annotation, filename and object/bndbox"

    def recognises(self, source: Path) -> bool:
        """An XML whose root is ``annotation`` with a ``filename``."""
        return bool(_documents(source))

    def read(self, source: Path) -> Iterator[Row]:
        """One row for each XML.

        Raises:
            DataError: An XML lacks its picture's name or states another size, or a box lacks its numbers.
        """
        folder = folder_of(source)
        pictures, splits = Pictures(folder, without=_MASKS), _splits(folder)
        masks = {path.stem: path for path in files_of(folder, {".png"}, 4) if path.parent.name == _MASKS[0]}
        for path in _documents(source):
            root = read_xml(path)
            name = text_of(root, "filename").replace("\\", "/").rpartition("/")[2]
            if not name:
                raise ManifestError("names no picture (filename)", where=str(path))
            beside = path.with_name(name)
            picture = beside if beside.is_file() else pictures.require(name, path.name)
            stated = {key: text_of(root, f"size/{key}") for key in ("height", "width")}
            if "0" not in stated.values():  # which stands for a size that is not known
                refuse_other_size(stated, picture, path.name)
            cells = object_cells(_shapes(root, path.name), f"masks/{path.stem}")
            row: dict[str, str | Path | RenderedImage] = {"image": picture, **cells}
            if path.stem in masks:
                row["mask"] = masks[path.stem]
            yield {**row, "split": splits.get(path.stem, "")} if splits else row


def _shapes(root: ElementTree.Element, where: str) -> list[Shape]:
    shapes = []
    for index, entry in enumerate(root.iter("object")):
        box: Mapping[str, str] = {child.tag: (child.text or "").strip() for child in entry.find("bndbox") or ()}
        x0, y0, x1, y1 = numbers(box, ("xmin", "ymin", "xmax", "ymax"), f"{where}: object {index}")
        inside = (x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1)
        shapes.append(rectangle(text_of(entry, "name"), inside, f"{where}: object {index}"))
    return shapes


def _documents(source: Path) -> list[Path]:
    files = [source] if source.is_file() else files_of(source, {".xml"}, 4)
    return [path for path in files if path.suffix.lower() == ".xml" and _is_annotation(path)]


def _is_annotation(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_PEEK_BYTES)
    return _ROOT.search(head) is not None and b"<filename>" in head


def _splits(folder: Path) -> dict[str, str]:
    """Name of a picture to its split, from lists whose names say one."""
    return {
        line.split()[0]: path.stem
        for path in files_of(folder, {".txt"}, 5)
        if "ImageSets" in path.parts and path.stem in ("train", "val", "test")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    }


importer = PascalVoc()
