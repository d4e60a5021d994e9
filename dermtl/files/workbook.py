"""The first filled sheet of an Excel workbook as a table; needs the extra ``xlsx``."""

import logging
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dermtl.errors import ManifestError, MissingExtra
from dermtl.files.table import Cells, column_name, to_cells

_log = logging.getLogger(__name__)
SUFFIXES = (".xlsx", ".xlsm")
_MAX_BYTES = 1 << 30  # of the unpacked sheets: a workbook is a zip file


def can_read_workbooks() -> bool:
    """Whether openpyxl is installed."""
    return find_spec("openpyxl") is not None


def workbook_header(path: Path) -> tuple[str, ...]:
    """The columns of the first filled sheet; none where the file cannot be read, or openpyxl is not installed."""
    try:
        return next((tuple(map(column_name, texts)) for _, texts in _filled_rows(path)), ())
    except (ManifestError, MissingExtra):
        return ()


def read_workbook(path: Path) -> Iterator[tuple[str, Cells]]:
    """The rows of the first filled sheet, without rows that are empty in all cells.

    Values are written as their cells hold them: formulas by their last result, whole numbers without a point, days as
    2024-05-31.

    Yields:
        ``name:row``, counted as in the sheet, and the row.

    Raises:
        ManifestError: The file is damaged, too large or empty, or a column stands twice.
        MissingExtra: openpyxl is not installed.
    """
    rows = _filled_rows(path)
    number, header = next(rows, (1, []))
    names = [column_name(text) for text in header]
    named = [name for name in names if name]
    if not named:
        raise ManifestError("holds no table", where=str(path), hint="the first row names the columns")
    if len(set(named)) < len(named):
        double = next(name for name in named if named.count(name) > 1)
        raise ManifestError(f"column {double!r} stands twice", where=f"{path.name}:{number}", hint="rename one")
    for row, texts in rows:
        cells = [*texts, *[""] * len(names)][: len(names)]
        yield from ((f"{path.name}:{row}", found) for found in to_cells(names, [cells]))


def _filled_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and texts of the rows that hold anything."""
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ModuleNotFoundError as error:
        hint = "pip install 'dermtl[xlsx]', or save the sheet as CSV UTF-8"
        raise MissingExtra(f"{path.name}: Excel workbooks need {error.name}", hint=hint) from error
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _MAX_BYTES:
                raise ManifestError("is a workbook of more than 1 GB unpacked", where=str(path))
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            sheets = [(sheet.title, _rows(sheet)) for sheet in book.worksheets]
            filled = [(title, first, rows) for title, rows in sheets if (first := next(rows, None)) is not None]
            if len(filled) > 1:
                others = ", ".join(repr(title) for title, _, _ in filled[1:])
                _log.warning("%s: sheet %r is read, not %s", path.name, filled[0][0], others)
            for _, first, rows in filled[:1]:
                yield first
                yield from rows
        finally:
            book.close()
    except (OSError, zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, TypeError) as error:
        message = f"cannot be read as an Excel workbook: {error}"
        raise ManifestError(message, where=str(path), hint="save the sheet as CSV UTF-8") from error


def _rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
        texts = [_text(value) for value in values]
        if any(texts):
            yield number, texts


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value).replace("\0", "").strip()
