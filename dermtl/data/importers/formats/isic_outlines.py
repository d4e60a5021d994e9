"""ISIC 2016 to 2018, task 1: pictures and ``<picture>_segmentation.png``, and no table of classes."""

from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.formats.ham10000 import importer as ham10000
from dermtl.data.importers.formats.isic_2016 import importer as isic_2016
from dermtl.data.importers.formats.isic_2017 import importer as isic_2017
from dermtl.data.importers.formats.isic_cli import importer as isic_cli
from dermtl.data.importers.formats.isic_one_hot import isic_2018, isic_2019
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, files_of, split_of

_ENDING = "_segmentation"
_LABELLED = (ham10000, isic_2016, isic_2017, isic_2018, isic_2019, isic_cli)


class IsicOutlines:
    """Every picture with an outline. Superpixels and pictures without an outline are left out."""

    name = "isic_outlines"
    summary = "ISIC task 1: x.jpg and x_segmentation.png"

    def recognises(self, source: Path) -> bool:
        """A folder with files that end in ``_segmentation.png``, and no ground truth of classes."""
        if not source.is_dir() or not any(_is_outline(path) for path in files_of(source, {".png"})):
            return False
        if any(_is_classed(path, source) for path in files_of(source, {".png"})):
            return False
        return not any(other.recognises(source) for other in _LABELLED)

    def read(self, source: Path) -> Iterator[Row]:
        """``image``, ``mask``, and ``split`` where the folders' names tell it."""
        pictures = Pictures(source)
        outlines = sorted(path for path in pictures if _is_outline(path))
        splits = {path: split_of(path.parent.name) for path in outlines}
        for mask in outlines:
            name = mask.stem[: -len(_ENDING)]
            row: dict[str, str | Path] = {"image": pictures.require(name), "image_id": name, "mask": mask}
            if len(set(splits.values())) > 1:
                row["split"] = splits[mask]
            yield row


def _is_classed(path: Path, source: Path) -> bool:
    """Whether an outline lies beside its picture in a folder that is neither the source nor a split: a class."""
    if not _is_outline(path) or path.parent == source or split_of(path.parent.name):
        return False
    return any(path.with_name(path.stem[: -len(_ENDING)] + suffix).is_file() for suffix in (".jpg", ".jpeg", ".png"))


def _is_outline(path: Path) -> bool:
    return path.stem.lower().endswith(_ENDING)


importer = IsicOutlines()
