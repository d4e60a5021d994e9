"""A table that is nearly a manifest: a CSV with a column ``image``."""

from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Table as Csv
from dermtl.data.importers.layout import tables
from dermtl.errors import ManifestError

_NAMES = ("manifest.csv", "labels.csv", "metadata.csv")  # preferred where several tables have the column


class Table:
    """Every column passes through; ``image`` and ``mask`` are paths from the table's folder."""

    name = "table"
    summary = "a CSV with a column image, and perhaps label, mask, cx, cy, r, patient_id"
    general = True

    def recognises(self, source: Path) -> bool:
        """A CSV with a column ``image``, or a folder with one."""
        return bool(tables(source, ["image"], depth=1))

    def read(self, source: Path) -> Iterator[Row]:
        """The table's rows.

        Raises:
            ManifestError: No table of the folder has the column, or several have.
        """
        table = _only(source)
        for where, cells in table.rows():
            if not cells["image"]:
                raise ManifestError("column 'image': expected a path, got an empty cell", where=where)
            files = {column: table.path.parent / cells[column] for column in ("image", "mask") if cells.get(column)}
            yield {**cells, **files}


def _only(source: Path) -> Csv:
    found = tables(source, ["image"], depth=1)
    for name in _NAMES:
        found = [table for table in found if table.path.name == name] or found
    if len(found) == 1:
        return found[0]
    if not found:
        raise ManifestError("no table with a column 'image'", where=str(source))
    names = ", ".join(table.path.name for table in found)
    raise ManifestError(f"several tables have a column 'image': {names}", where=str(source), hint="name one of them")


importer = Table()
