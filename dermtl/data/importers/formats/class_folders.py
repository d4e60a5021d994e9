"""Class folders: ``<class>/x.jpg``, or ``<split>/<class>/x.jpg``, with the pictures' masks if there are any."""

import os
from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.formats.table import importer as table
from dermtl.data.importers.importer import Row
from dermtl.data.importers.paired import mask_of
from dermtl.data.importers.seen import suggest, tell_unread
from dermtl.data.manifest.class_folders import doubts, place_pictures
from dermtl.data.manifest.folders import look_around
from dermtl.errors import ManifestError
from dermtl.imaging.suffixes import is_picture


class ClassFolders:
    """The folder's name is the class; train, val, test and the like above them are splits."""

    name = "class_folders"
    summary = "<class>/x.jpg or <split>/<class>/x.jpg, with masks x_mask.png or in a folder masks beside images"
    general = True

    def recognises(self, source: Path) -> bool:
        """A folder that holds folders with pictures, and no table that says more."""
        return source.is_dir() and not table.recognises(source) and _holds_pictures(source, levels=3)

    def read(self, source: Path) -> Iterator[Row]:
        """``image``, ``label``, and where there are any, ``split`` and ``mask``."""
        folder = look_around(source)
        placed = place_pictures(folder)
        has_labels = any(one.label for one in placed)
        for one in placed:
            row: dict[str, str | Path] = {"image": one.picture}
            if has_labels:
                row["label"] = one.label
            if one.split:
                row["split"] = one.split
            yield {**row, **mask_of(one.picture, folder)}

    def refuse_doubtful(self, source: Path) -> None:
        """Stop where the folders' names may not be classes: what was seen, and the command that may be right.

        Raises:
            ManifestError: A table lies beside the pictures, there is one class, or it is called images or train.
        """
        folder = look_around(source)
        found = list(tell_unread(folder))
        try:
            found += doubts(folder, place_pictures(folder))
        except ManifestError as error:
            if not found:
                raise
            found.append(error.message)
        if found:
            meant = f"where the folders are meant: dermtl data import {source} --format {self.name}"
            hint = "; ".join(filter(None, (suggest(source, folder), meant)))
            raise ManifestError("; ".join(found), where=str(source), hint=hint)


def _holds_pictures(folder: Path, levels: int) -> bool:
    """Whether a folder one or ``levels`` levels down holds a picture."""
    with os.scandir(folder) as listed:
        inner = sorted(entry.path for entry in listed if entry.is_dir() and not entry.name.startswith("."))
    for path in inner:
        with os.scandir(path) as listed:
            if any(entry.is_file() and is_picture(Path(entry.path)) for entry in listed):
                return True
    return levels > 1 and any(_holds_pictures(Path(path), levels - 1) for path in inner)


importer = ClassFolders()
