"""Class folders: ``<class>/x.jpg``, or ``<split>/<class>/x.jpg``."""

import os
from collections.abc import Iterator
from pathlib import Path

from dermtl.config.experiment import Data
from dermtl.data.importers.importer import Row
from dermtl.data.importers.table import importer as table
from dermtl.data.manifest import read_manifest
from dermtl.imaging.decode import SUFFIXES


class ClassFolders:
    """The folder's name is the class; train, val, valid, validation and test above them are splits."""

    name = "class_folders"
    summary = "<class>/x.jpg or <split>/<class>/x.jpg"
    general = True

    def recognises(self, source: Path) -> bool:
        """A folder that holds folders with pictures, and no table that says more."""
        return source.is_dir() and not table.recognises(source) and _holds_pictures(source, levels=2)

    def read(self, source: Path) -> Iterator[Row]:
        """``image``, ``label`` and, where there are splits, ``split``."""
        for record in read_manifest(Data(root=source, manifest=".")):
            yield {**record.cells, "image": record.path}


def _holds_pictures(folder: Path, levels: int) -> bool:
    """Whether a folder one or ``levels`` levels down holds a picture."""
    with os.scandir(folder) as listed:
        inner = sorted(entry.path for entry in listed if entry.is_dir() and not entry.name.startswith("."))
    for path in inner:
        with os.scandir(path) as listed:
            if any(Path(entry.name).suffix.lower() in SUFFIXES for entry in listed):
                return True
    return levels > 1 and any(_holds_pictures(Path(path), levels - 1) for path in inner)


importer = ClassFolders()
