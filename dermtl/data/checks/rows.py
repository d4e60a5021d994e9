"""Reading a table whatever state it is in: the rows that can be used, and what is wrong with the others.

The strict reader is :mod:`dermtl.files.table`; both must read a sound table alike.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dermtl.data.checks.finding import Finding, found
from dermtl.files.separator import SEPARATORS, START, find_separator
from dermtl.files.spreadsheet import is_workbook
from dermtl.files.table import column_name, to_cells, unguard

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass
class Table:
    """What could be read.

    Attributes:
        name: What the table is called in messages.
        columns: Header.
        rows: ``name:line`` and the cells.
        findings: What is wrong with the rest.
    """

    name: str
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_rows(path: Path) -> Table:
    """Read a CSV; faults become findings."""
    table = Table(path.name)
    try:
        data = path.read_bytes()
    except OSError as error:
        table.findings.append(found("no-table", path.name, f"cannot be read: {error.strerror}"))
        return table
    if is_workbook(data):
        table.findings.append(found("workbook", f"{table.name}:1", "is an Excel workbook, expected a CSV"))
        return table
    text = _decode(data, table)
    delimiter = find_separator(text[:START])
    lines = list(_lines(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), table))
    if not lines:
        table.findings.append(found("empty-table", f"{table.name}:1", "holds nothing"))
        return table
    if len(lines) > 1 and lines[0][1][0].lower().startswith("sep="):
        where, row = lines.pop(0)
        table.findings.append(found("separator-line", where, f"expected the columns' names, got {row[0]!r}"))
    keep = _header(*lines[0], table)
    empty: list[str] = []
    for where, row in lines[1:]:
        if not any(cell.strip() for cell in row):
            empty.append(where)
        elif len(row) == len(lines[0][1]):
            cells = [unguard(row[index]) for index in keep]
            zero = any("\0" in cell for cell in cells)
            mapping = dict(zip(table.columns, cells, strict=True)) if zero else next(to_cells(table.columns, [cells]))
            table.rows.append((where, mapping))
        else:
            table.findings.append(_misfit(where, row, len(lines[0][1]), delimiter))
    if empty:
        message = f"{len(empty)} rows are empty in all cells and are passed over; this is the first"
        table.findings.append(found("empty-rows", empty[0], message))
    if len(lines) == 1:
        table.findings.append(found("empty-table", f"{table.name}:1", "has a header, but no rows"))
    return table


def _decode(data: bytes, table: Table) -> str:
    """The text; lines that are not UTF-8 are reported and read as Windows-1252."""
    wide = _MARKS.get(data[:2])
    if wide:
        table.findings.append(found("encoding", f"{table.name}:1", f"is {wide.upper()}, expected UTF-8"))
        return data.decode(wide, "replace")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    lines = data.split(b"\n")
    spoilt = [number for number, line in enumerate(lines, 1) if not _is_utf8(line)]
    message = f"is not UTF-8 text in {len(spoilt)} lines, of which this is the first; judged here as Windows-1252"
    table.findings.append(found("encoding", f"{table.name}:{spoilt[0]}", message))
    return "\n".join(line.decode() if _is_utf8(line) else line.decode("cp1252", "replace") for line in lines)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(reader: Any, table: Table) -> Iterator[tuple[str, list[str]]]:
    before = 0  # a quoted cell may hold line ends: a row starts behind the end of the one before
    while True:
        where = f"{table.name}:{before + 1}"
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            table.findings.append(found("quoting", where, f"is not valid CSV: {error}"))
            row = []
        before = reader.line_num
        if row:
            yield where, row


def _header(where: str, row: list[str], table: Table) -> list[int]:
    """Positions of the columns that are used."""
    keep = []
    for index, cell in enumerate(row):
        column = column_name(cell)
        if column not in table.columns:
            table.columns.append(column)
            keep.append(index)
        elif column:
            table.findings.append(found("duplicate-column", where, f"column {column!r} stands twice", column=column))
    return keep


def _misfit(where: str, row: list[str], width: int, delimiter: str) -> Finding:
    line = delimiter.join(row)
    for other in SEPARATORS:
        if other != delimiter and width > 1 and line.count(other) == width - 1:
            message = f"is separated by {_NAMES[other]}, the header by {_NAMES[delimiter]}"
            return found("separators", where, message)
    return found("cell-count", where, f"expected {width} cells as in the header, got {len(row)}")
