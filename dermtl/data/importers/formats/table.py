"""A table that is nearly a manifest: a CSV with a column ``image``."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dermtl.config.missing import is_missing
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import ANY_TABLE, folder_of, tables
from dermtl.data.importers.layout import Table as Csv
from dermtl.data.importers.paired import mask_of
from dermtl.data.manifest.folders import look_around
from dermtl.errors import ManifestError

_KNOWN = ("image", "label", "mask", "cx", "cy", "r", "patient_id", "lesion_id", "group", "split")
_NAMES = ("manifest.csv", "labels.csv", "metadata.csv")  # preferred where several tables have the column


class Table:
    """Every column passes through; ``image`` and ``mask`` are paths from the table's folder.

    Where there is no column ``mask``, masks that lie beside the pictures by name are taken.
    """

    name = "table"
    summary = "a CSV with a column image, and perhaps label, mask, cx, cy, r, patient_id"
    general = True

    def recognises(self, source: Path) -> bool:
        """A CSV with a column ``image``, or a folder with one."""
        return bool(_found(source))

    def read(self, source: Path) -> Iterator[Row]:
        """The table's rows.

        Raises:
            ManifestError: No table of the folder has the column, or several have.
        """
        table = _only(source)
        folder = None if "mask" in (column.lower() for column in table.header) else look_around(folder_of(source))
        names = {column: _name(column, table.header) for column in table.header if column}
        for where, texts in table.rows():
            cells = {names[column]: text for column, text in texts.items()}
            if not cells["image"] or is_missing(cells["image"]):
                raise ManifestError("column 'image': expected a path, got an empty cell", where=where)
            given = {column: cells[column] for column in ("image", "mask") if cells.get(column)}
            files = {
                column: "" if is_missing(text) else table.path.parent / text.replace("\\", "/").removeprefix("./")
                for column, text in given.items()
            }
            beside = {} if folder is None else mask_of(Path(os.path.normpath(files["image"])), folder)
            yield {**cells, **files, **beside}


def _found(source: Path) -> list[Csv]:
    found = tables(source, depth=1, suffixes=ANY_TABLE)
    return [table for table in found if "image" in {column.lower() for column in table.header}]


def _name(column: str, header: Sequence[str]) -> str:
    """The usual columns are known in any case, unless two would have one name."""
    known = column.lower()
    return known if known in _KNOWN and [other.lower() for other in header].count(known) == 1 else column


def _only(source: Path) -> Csv:
    found = _found(source)
    for name in _NAMES:
        found = [table for table in found if table.path.name == name] or found
    if len(found) == 1:
        return found[0]
    if not found:
        raise ManifestError("no table with a column 'image'", where=str(source))
    names = ", ".join(table.path.name for table in found)
    raise ManifestError(f"several tables have a column 'image': {names}", where=str(source), hint="name one of them")


importer = Table()
