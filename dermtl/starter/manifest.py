"""The table of a folder or file that somebody wants to train on: the one that is there, or an import of it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dermtl.config.missing import is_missing
from dermtl.data.importers.ingest import import_data
from dermtl.data.importers.layout import folder_of
from dermtl.data.importers.named import Columns
from dermtl.data.importers.seen import guess_columns, usual_label
from dermtl.data.manifest.folders import look_around
from dermtl.errors import ManifestError
from dermtl.files.table import read_header, read_table

_log = logging.getLogger(__name__)


def find_manifest(source: Path, named: Columns) -> tuple[Path, Columns]:
    """The manifest to train on, and its columns.

    A table with a column ``image`` (``manifest.csv`` of a folder) is taken as it is. Anything else is imported as
    ``dermtl data import`` does, with the same refusals, into the columns ``image``, ``label``, ``mask`` and ``group``.

    Args:
        source: A folder of pictures, or a table.
        named: Columns of the source that the user named; empty for the others.

    Raises:
        ManifestError: There is no such file, the table lacks a named column, or no column names the pictures.
        DataError: The source cannot be imported.
    """
    if not source.exists():
        raise ManifestError("no such file or folder", where=str(source))
    table = source / "manifest.csv" if source.is_dir() else source
    header = read_header(table)
    if "image" in header:
        columns = replace(named, image="image", label=named.label or usual_label(header, "image"))
        lacking = [column for column in columns.renamed.values() if column not in header]
        if lacking:
            message = f"no column {lacking[0]!r}"
            raise ManifestError(message, where=str(table), hint=f"there are {', '.join(header)}")
        return table, columns
    imported = import_data(source, columns=_completed(source, named) if named.renamed else None)
    for line in imported.seen:
        _log.info("found    %s", line)
    _log.info("%d pictures in %s, read as %s", imported.num_rows, imported.manifest, imported.format)
    return imported.manifest, Columns("image")


def _completed(source: Path, named: Columns) -> Columns:
    """Named columns, completed by those that the table's cells and usual names tell."""
    guessed = guess_columns(source, look_around(folder_of(source)))
    if guessed is None:
        hint = f"dermtl data import {source} --image-column COLUMN says which"
        raise ManifestError("no column of its tables names the pictures", where=str(source), hint=hint)
    return Columns(
        guessed.image, named.label or guessed.label, named.group or guessed.group, named.mask or guessed.mask
    )


def read_cells(manifest: Path) -> Mapping[str, Sequence[str]]:
    """Column to its cells that are neither empty nor a word for nothing known.

    Raises:
        ManifestError: The table cannot be read.
    """
    columns: dict[str, list[str]] = {column: [] for column in read_header(manifest)}
    for _, row in read_table(manifest):
        for column, cell in row.items():
            if cell and not is_missing(cell):
                columns[column].append(cell)
    return columns
