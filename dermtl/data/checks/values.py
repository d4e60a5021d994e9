"""Cells: numbers, columns of 0 and 1, circles. Opens no file."""

import math
import re
from collections.abc import Iterator, Sequence

from dermtl.data.checks.finding import Finding, found
from dermtl.kinds import Circle, Record

_MOSTLY = 0.9  # share of a column's cells that makes its rule
_FEW = 5
_COMMA = re.compile(r"[+-]?\d+,\d+")


def number_columns(records: Sequence[Record], skip: set[str]) -> list[str]:
    """Columns that hold numbers nearly everywhere."""
    columns = []
    for column in records[0].cells if records else ():
        texts = [text for record in records if (text := record.cells[column].strip())] if column not in skip else []
        num = sum(_number(text) is not None for text in texts)
        if len(texts) >= _FEW and num >= _MOSTLY * len(texts):
            columns.append(column)
    return columns


def check_numbers(records: Sequence[Record], column: str) -> Iterator[Finding]:
    """Cells that are no finite number; those with a decimal comma are one finding."""
    commas = [record for record in records if _COMMA.fullmatch(record.cells[column].strip())]
    if commas:
        message = f"{len(commas)} cells have a decimal comma, such as {commas[0].cells[column].strip()!r}"
        yield found("not-a-number", commas[0].where, message, column=column, hint="write a decimal point")
    for record in records:
        text = record.cells[column].strip()
        if _COMMA.fullmatch(text):
            continue
        value = _number(text) if text else 0.0
        if value is None:
            message = f"expected a number, got {text!r}"
            yield found("not-a-number", record.where, message, column=column)
        elif math.isnan(value):
            yield found("nan", record.where, f"expected a number, got {text!r}", column=column)
        elif math.isinf(value):
            yield found("infinite", record.where, f"expected a finite number, got {text!r}", column=column)


def check_one_hot(records: Sequence[Record], columns: Sequence[str]) -> Iterator[Finding]:
    """Columns of 0 and 1 of which nearly every row holds exactly one 1; they are found by what they hold."""
    flags = [column for column in columns if _is_flag(records, column)]
    sums = [sum(_number(record.cells[column].strip()) or 0.0 for column in flags) for record in records]
    if len(flags) < 3 or sums.count(1.0) < _MOSTLY * len(sums):
        return
    for record, total in zip(records, sums, strict=True):
        if total != 1.0 and math.isfinite(total):
            yield found(
                "one-hot-sum", record.where, f"the columns sum to {total:g}, expected 1", column=", ".join(flags)
            )


def check_circle(record: Record, kind: Circle, size_hw: tuple[int, int] | None) -> Iterator[Finding]:
    """A circle's three cells together; cells that are no numbers are reported elsewhere."""
    texts = {column: record.cells[column].strip() for column in (kind.cx, kind.cy, kind.r)}
    if not any(texts.values()):
        return
    for column, text in texts.items():
        if not text:
            message = f"expected all of {', '.join(texts)} or none"
            yield found("circle-incomplete", record.where, message, column=column)
    x, y, radius = (_number(text) for text in texts.values())
    if radius is not None and math.isfinite(radius) and radius <= 0:
        yield found("circle-radius", record.where, f"expected a radius above 0, got {radius:g}", column=kind.r)
    if size_hw is None:
        return
    for column, value, end in ((kind.cx, x, size_hw[1]), (kind.cy, y, size_hw[0])):
        if value is not None and math.isfinite(value) and not 0 <= value <= end:
            message = f"the centre {value:g} lies outside the picture's 0..{end}"
            yield found("circle-outside", record.where, message, column=column)


def _is_flag(records: Sequence[Record], column: str) -> bool:
    texts = [record.cells[column].strip() for record in records]
    return sum(_number(text) in (0.0, 1.0) for text in texts if text) >= max(1, _MOSTLY * len(texts))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
