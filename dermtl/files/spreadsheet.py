"""Tables as spreadsheets save them: Windows-1252 or UTF-16, a line ``sep=;`` first, old line ends, workbooks.

The strict reader is :mod:`dermtl.files.table`; here a table is made fit for it.
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dermtl.errors import ManifestError
from dermtl.files import workbook
from dermtl.files.table import Cells, read_header, read_table

_log = logging.getLogger(__name__)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_START = 1 << 16  # bytes that hold the header
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx, which is a zip file, and xls
WORKBOOK_HINT = "pip install 'dermtl[xlsx]', or save the sheet as CSV UTF-8 and take that file"


def is_workbook(data: bytes) -> bool:
    """Whether a file is an Excel workbook rather than a text."""
    return data.startswith(_WORKBOOKS)


def decoded(data: bytes) -> tuple[str, str]:
    """The text of a table, and what it was if not UTF-8: UTF-16, Windows-1252 or empty.

    Raises:
        UnicodeDecodeError: The bytes are neither UTF-8 nor UTF-16 nor Windows-1252.
    """
    if data.startswith(_UTF16):
        return data.decode("utf-16"), "UTF-16"
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252"), "Windows-1252"


def read_spreadsheet(path: Path) -> Iterator[tuple[str, Cells]]:
    """The rows of a table in any of these forms, without rows that are empty in all cells; what was mended is logged.

    Yields:
        ``name:line``, counted as in the file, and the row.

    Raises:
        ManifestError: The file is a workbook that cannot be read, is no text, or is refused as by
            :func:`~dermtl.files.table.read_table`.
    """
    if path.suffix.lower() in workbook.SUFFIXES and workbook.can_read_workbooks():
        yield from workbook.read_workbook(path)
        return
    data = path.read_bytes()
    if is_workbook(data):
        raise ManifestError("is an Excel workbook", where=str(path), hint=WORKBOOK_HINT)
    try:
        text, form = decoded(data)
    except UnicodeDecodeError as error:
        raise ManifestError("is not UTF-8 text", where=str(path), hint="save the table as CSV UTF-8") from error
    first = text.lstrip().splitlines()[0] if text.strip() else ""
    is_told = first.lower().startswith("sep=")
    if form:
        _log.warning("%s is %s, and was read as that", path.name, form)
    rows = read_table(path) if not form and not is_told else _mended(text, path.name, skip=is_told)
    num_empty = 0
    for where, cells in rows:
        if any(text.strip() for text in cells.values()):
            yield where, cells
        else:
            num_empty += 1
    if num_empty:
        _log.warning("%s: %d rows that are empty in all cells were passed over", path.name, num_empty)


def spreadsheet_header(path: Path) -> tuple[str, ...]:
    """The columns of a table in any of these forms; none where the file cannot be read or is no text."""
    if path.suffix.lower() in workbook.SUFFIXES:
        return workbook.workbook_header(path)
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return ()
    if is_workbook(start):
        return ()
    is_wide = start.startswith(_UTF16)
    if len(start) == _START:
        start = start[: start.rfind(b"\n\0" if start.startswith(_UTF16[0]) else b"\n") + (2 if is_wide else 1)]
    try:
        text, form = decoded(start[: len(start) // 2 * 2] if is_wide else start)
    except UnicodeDecodeError:
        return ()
    is_told = text.lstrip().lower().startswith("sep=")
    if not form and not is_told:
        return read_header(path)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "table.csv")
        plain.write_text(text.lstrip().partition("\n")[2] if is_told else text, encoding="utf-8", newline="")
        return read_header(plain)


def _mended(text: str, name: str, *, skip: bool) -> Iterator[tuple[str, Cells]]:
    """The rows of a text through the strict reader, which reads files."""
    if skip:
        text = text.lstrip().partition("\n")[2]
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "table.csv")
        plain.write_text(text, encoding="utf-8", newline="")
        for where, cells in read_table(plain, name=name):
            line = int(where.rpartition(":")[2]) + skip
            yield f"{name}:{line}", cells
