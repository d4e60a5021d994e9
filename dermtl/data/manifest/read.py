"""From a table, or a folder of class folders, to records. Opens no picture: that is the check's part.

Paths are relative to the root, with forward slashes, and never leave it.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dermtl.config.experiment import Data
from dermtl.data.manifest.class_folders import doubts, place_pictures
from dermtl.data.manifest.folders import first_names, look_around
from dermtl.data.manifest.missing import MissingWords
from dermtl.data.manifest.split_names import SPLITS
from dermtl.errors import ManifestError
from dermtl.files.table import Cells, read_table, to_cells, write_table
from dermtl.kinds.record import Record, safe_relative_path

__all__ = ["SPLITS", "read_manifest", "write_table"]

_log = logging.getLogger(__name__)
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
    column, root, num_empty = data.image, data.root, 0
    for where, cells in rows:
        if column not in cells:
            hint = f"the columns are {', '.join(cells)}; set data.image"
            raise ManifestError(f"no column {column!r} with the pictures", where=data.manifest, hint=hint)
        text = cells[column].strip()
        if not text and not any(cells[name].strip() for name in cells):
            num_empty += 1
            continue
        if not text:
            raise ManifestError(f"column {column!r}: expected a path, got an empty cell", where=where)
        image = safe_relative_path(text)
        if image is None:
            hint = f"paths are relative to {root}"
            raise ManifestError(f"the path {text!r} is absolute or leaves the data's root", where=where, hint=hint)
        if image in seen:
            hint = "one row a picture"
            raise ManifestError(f"the picture {image!r} stands already at {seen[image]}", where=where, hint=hint)
        seen[image] = where
        yield Record(image, root, cells, where)
    if num_empty:
        _log.warning("%s: %d rows that are empty in all cells were passed over", data.manifest, num_empty)


def _read_folders(root: Path, folder: Path, image: str) -> Iterator[tuple[str, Cells]]:
    seen = look_around(folder)
    if seen.masks or seen.stray_masks or seen.companions:
        first = next(iter([*seen.masks.values(), seen.stray_masks, seen.companions]))[0]
        num = sum(map(len, seen.masks.values())) + len(seen.stray_masks) + len(seen.companions)
        message = f"holds {num} masks or companions among the pictures, such as {first.relative_to(folder)}"
        raise ManifestError(message, where=str(folder), hint=f"dermtl data import {folder} pairs them in a table")
    placed = place_pictures(seen)
    for doubt in doubts(seen, placed):
        _log.warning("%s: %s", folder, doubt)
    if seen.unread:
        told = "%s: passed over %d files that are no pictures dermtl reads: %s"
        _log.warning(told, folder, len(seen.unread), first_names(seen.unread))
    has_splits = all(one.split for one in placed)
    header = (image, LABEL, SPLIT) if has_splits else (image, LABEL)
    rows = [
        (one.picture.relative_to(root).as_posix(), one.label, *((one.split,) if has_splits else ())) for one in placed
    ]
    yield from zip((row[0] for row in rows), to_cells(header, rows), strict=True)
