"""The manifest of a folder or table that somebody wants to train on: the one that is there, or an import of it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermtl.config.missing import is_missing
from dermtl.data.importers.ingest import import_data
from dermtl.data.importers.layout import folder_of
from dermtl.data.importers.named import Columns
from dermtl.data.importers.seen import guess_columns
from dermtl.data.manifest.folders import look_around
from dermtl.errors import ManifestError
from dermtl.files.table import read_header, read_table

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NamedColumns:
    """Columns of the user's table; None for those that were not named."""

    label: str | None = None
    mask: str | None = None
    group: str | None = None

    def __bool__(self) -> bool:
        return any((self.label, self.mask, self.group))


def find_manifest(source: Path, named: NamedColumns) -> Path:
    """The manifest to train on.

    A table with a column ``image`` (``manifest.csv`` of a folder) is taken as it is, unless columns are named. Anything
    else is imported as ``dermtl data import`` does, with the same refusals.

    Args:
        source: A folder of pictures, or a table.
        named: Columns that the user named.

    Raises:
        ManifestError: There is no such file, or no column names the pictures.
        DataError: The source cannot be imported.
    """
    if not source.exists():
        raise ManifestError("no such file or folder", where=str(source))
    table = source / "manifest.csv" if source.is_dir() else source
    if not named and table.is_file() and "image" in read_header(table):
        return table
    imported = import_data(source, columns=_columns(source, named) if named else None)
    for line in imported.seen:
        _log.info("found    %s", line)
    _log.info("%d pictures in %s, read as %s", imported.num_rows, imported.manifest, imported.format)
    return imported.manifest


def _columns(source: Path, named: NamedColumns) -> Columns:
    """Named columns, completed by those that the table's cells and names tell."""
    guessed = guess_columns(source, look_around(folder_of(source)))
    if guessed is None:
        hint = f"dermtl data import {source} --image-column COLUMN says which"
        raise ManifestError("no column of its tables names the pictures", where=str(source), hint=hint)
    return Columns(
        guessed.image, named.label or guessed.label, named.group or guessed.group, named.mask or guessed.mask
    )


def read_columns(manifest: Path) -> Mapping[str, Sequence[str]]:
    """Column to its cells that are neither empty nor a word for nothing known.

    Raises:
        ManifestError: The table cannot be read.
    """
    columns: dict[str, list[str]] = {}
    for _, cells in read_table(manifest):
        for column, cell in cells.items():
            columns.setdefault(column, [])
            if cell and not is_missing(cell):
                columns[column].append(cell)
    return columns
