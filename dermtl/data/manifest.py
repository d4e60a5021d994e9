"""From a table, or a folder of class folders, to records. Opens no picture: that is the check's part.

Paths are relative to the root, with forward slashes, and never leave it.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dermtl.config.experiment import Data
from dermtl.data.missing import MissingWords
from dermtl.data.table import Cells, read_table, to_cells, write_table
from dermtl.errors import ManifestError
from dermtl.imaging.decode import SUFFIXES
from dermtl.kinds.record import Record, inside

__all__ = ["SPLITS", "read_manifest", "write_table"]

_log = logging.getLogger(__name__)
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
LABEL, SPLIT = "label", "split"  # columns of a folder of class folders


def read_manifest(data: Data) -> list[Record]:
    """The records of a data set, in the order of its table.

    Where ``data.manifest`` is a folder, its class folders are read instead: ``<class>/x.jpg`` gives the columns
    ``image`` and ``label``, and ``<split>/<class>/x.jpg`` (train; val, valid, validation; test) also ``split``.

    Cells that hold one of ``data.missing`` read as empty ones; how many there are is logged.

    Returns:
        Records without group and split. No file but the table has been touched.

    Raises:
        ManifestError: The table is missing, empty or malformed, lacks the image column, names a picture twice or a
            path outside the root; the message names file and row.
    """
    path = data.root / data.manifest
    rows = _read_folders(data.root, path, data.image) if path.is_dir() else read_table(path, name=data.manifest)
    missing = MissingWords(data.missing)
    records = list(_records(missing.emptied(rows), data))
    if not records:
        raise ManifestError("has no rows", where=data.manifest, hint="list at least one picture")
    if missing.counts:
        _log.warning("%s: read as empty cells (data.missing): %s", data.manifest, missing)
    return records


def _records(rows: Iterable[tuple[str, Mapping[str, str]]], data: Data) -> Iterator[Record]:
    seen: dict[str, str] = {}
    column, root = data.image, data.root
    for where, cells in rows:
        if column not in cells:
            hint = f"the columns are {', '.join(cells)}; set data.image"
            raise ManifestError(f"no column {column!r} with the pictures", where=data.manifest, hint=hint)
        text = cells[column].strip()
        if not text:
            raise ManifestError(f"column {column!r}: expected a path, got an empty cell", where=where)
        image = inside(text)
        if image is None:
            hint = f"paths are relative to {root}"
            raise ManifestError(f"the path {text!r} is absolute or leaves the data's root", where=where, hint=hint)
        if image in seen:
            hint = "one row a picture"
            raise ManifestError(f"the picture {image!r} stands already at {seen[image]}", where=where, hint=hint)
        seen[image] = where
        yield Record(image, root, cells, where)


def _read_folders(root: Path, folder: Path, image: str) -> Iterator[tuple[str, Cells]]:
    tops = _folders(folder)
    has_splits = bool(tops) and all(top.name.lower() in SPLITS for top in tops)
    header = (image, LABEL, SPLIT) if has_splits else (image, LABEL)
    rows = [
        (path.relative_to(root).as_posix(), label.name, *((top.name.lower(),) if has_splits else ()))
        for top in tops
        for label in (_folders(top) if has_splits else [top])
        for path in _pictures(label)
    ]
    if not rows:
        hint = "expected <class>/x.jpg or <split>/<class>/x.jpg"
        raise ManifestError("holds no class folders with pictures", where=str(folder), hint=hint)
    yield from zip((row[0] for row in rows), to_cells(header, rows), strict=True)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    nested = _folders(folder)
    if nested:
        hint = "list the pictures in a CSV, or flatten the folder"
        raise ManifestError(
            "a class folder holds a folder, whose pictures would be lost", where=str(nested[0]), hint=hint
        )
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
