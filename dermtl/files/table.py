"""CSV files: UTF-8, a header line, one row per line. Knows nothing of pictures.

Text that a spreadsheet would run as a formula is written with a leading ``'``, which reading takes away again, in the
header as in the cells.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dermtl.errors import ManifestError
from dermtl.files.atomic import write_atomic
from dermtl.files.separator import SEPARATORS, START, find_separator

_BETWEEN = "\0"  # never part of a text file: a table that holds one is refused
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # zero bytes, and what surrogateescape makes of bytes that are not UTF-8
_GUARDED = re.compile(r"(^|\0)'(?='*[=+\-@\t\r\n])")


class Cells(Mapping[str, str]):
    """One row: column to text. The header is shared, and the cells are one text until one is asked for.

    A million rows of dicts would take several gigabytes.
    """

    __slots__ = ("_columns", "_line")

    def __init__(self, columns: dict[str, int], line: str) -> None:
        self._columns = columns
        self._line = line

    def __getitem__(self, column: str) -> str:
        index = self._columns[column]
        return self._line.split(_BETWEEN, index + 1)[index]

    def __contains__(self, column: object) -> bool:
        return column in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def to_cells(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Cells]:
    """Rows that share their header."""
    columns = {name: index for index, name in enumerate(header)}
    return (Cells(columns, _BETWEEN.join(row)) for row in rows)


def read_table(path: Path, *, name: str = "") -> Iterator[tuple[str, Cells]]:
    """Read a CSV row by row: UTF-8 with or without a mark, comma, semicolon or tab. Empty lines are passed over.

    Args:
        path: The file.
        name: What to call it in messages; default: its own name.

    Yields:
        ``name:line`` and the row.

    Raises:
        ManifestError: The file is missing, is not text, has no header or a doubtful one, or a row does not fit it.
    """
    name = name or path.name
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            start = file.read(START)
            if start.lower().startswith("sep="):
                first = start.splitlines()[0].strip()
                hint = "delete this line, which only spreadsheets know"
                raise ManifestError(f"expected the columns' names, got {first!r}", where=f"{name}:1", hint=hint)
            file.seek(0)
            yield from _rows(csv.reader(file, delimiter=find_separator(start), strict=True), name)
    except OSError as error:
        hint = "check data.root and data.manifest"
        raise ManifestError(f"cannot read the table: {error.strerror}", where=str(path), hint=hint) from error
    except UnicodeDecodeError as error:
        raise ManifestError("is not UTF-8 text", where=str(path), hint="save the table as CSV UTF-8") from error


def read_header(path: Path) -> tuple[str, ...]:
    """The columns of a table, by its first line that is not empty; none where the file cannot be read or is no text."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            start = file.read(START)
        rows = csv.reader(io.StringIO(start, newline=""), delimiter=find_separator(start))
        header = tuple(column_name(cell) for cell in next(filter(None, rows), []))
    except (OSError, csv.Error):
        return ()
    return () if _NO_TEXT.search("".join(header)) else header


def column_name(cell: str) -> str:
    """The name of a column by its cell of the header: without blanks around it and without a guard."""
    return unguard(cell.strip())


def _rows(reader: Any, name: str) -> Iterator[tuple[str, Cells]]:
    columns: dict[str, int] = {}
    before = 0  # a quoted cell may hold line ends: a row starts behind the end of the one before
    try:
        for row in reader:
            where = f"{name}:{before + 1}"
            before = reader.line_num
            if not row:
                continue
            if not columns:
                columns = _header(row, where)
                width = len(row)
                continue
            line = _BETWEEN.join(row)
            if len(row) != width:
                hint = "quote cells that hold the separator"
                raise ManifestError(f"expected {width} cells as in the header, got {len(row)}", where=where, hint=hint)
            if line.count(_BETWEEN) != width - 1:
                raise ManifestError("holds a zero byte", where=where, hint="save the table as CSV UTF-8")
            yield where, Cells(columns, _GUARDED.sub(r"\1", line) if "'" in line else line)
    except csv.Error as error:
        raise ManifestError(f"is not valid CSV: {error}", where=f"{name}:{before + 1}") from error
    if not columns:
        raise ManifestError("is empty", where=name, hint="the first line names the columns")


def _header(row: Sequence[str], where: str) -> dict[str, int]:
    columns: dict[str, int] = {}
    for index, cell in enumerate(row):
        column = column_name(cell)
        if column in columns and column:
            raise ManifestError(f"column {column!r} stands twice", where=where, hint="rename one")
        columns[column] = index
    return columns


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV whole or not at all. None is an empty cell; numbers are written so that they read back exactly.

    Args:
        path: The file.
        header: Names of the columns, written without blanks around them, as reading takes them away.
        rows: The cells of every row.

    Raises:
        DataError: The file cannot be written.
        ManifestError: Two columns would read back under one name.
    """
    names = [guard(name.strip()) for name in header]
    _header(names, path.name)
    text = io.StringIO(newline="")
    # A name that holds another separator is quoted, so that it is not taken for the separator of the table.
    is_doubtful = any(separator in name for name in names for separator in SEPARATORS)
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if is_doubtful else csv.QUOTE_MINIMAL).writerow(names)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([guard(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    write_atomic(path, text.getvalue())


def guard(text: str) -> str:
    """Text that no spreadsheet runs as a formula; numbers stay as they are, carriage returns become line feeds."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # Python's csv leaves a lone carriage return unquoted
    if not _FORMULA.match(text):
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.inf  # -infinity is a name to a spreadsheet, and a name may be a formula
    return text if math.isfinite(number) else f"'{text}"


def unguard(cell: str) -> str:
    """The text that :func:`guard` made a cell of."""
    return _GUARDED.sub(r"\1", cell)
