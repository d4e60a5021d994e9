"""Formats of a row of predictions as one line of text, and how such a line is read back.

Lines may be made in any thread and hold no line break but their last. Knows nothing of models or files; the columns
follow from the kinds.
"""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dermtl.errors import InputError
from dermtl.files.table import guard
from dermtl.kinds.kind import Kind
from dermtl.runtime.bundle import blank
from dermtl.runtime.decision import Decisions
from dermtl.runtime.predict_rows import Row

COLUMNS = ("image", "width", "height", "error")


class RowStatus(NamedTuple):
    """The picture of a line, and whether it was predicted.

    Attributes:
        image: The picture, as :meth:`RowFormat.image` writes it.
        failed: Whether the line holds an error in place of a prediction.
    """

    image: str
    failed: bool


class RowFormat(Protocol):
    """A format with one line for each row.

    Attributes:
        header: First line of a file; may be empty.
    """

    header: str

    def line(self, row: Row) -> str:
        """The row with its line end."""

    def image(self, path: Path) -> str:
        """The path of a picture as it is read back from a line."""

    def read(self, line: str) -> RowStatus:
        """Read a whole line.

        Raises:
            ValueError: The line does not have this format.
        """


class JsonLines:
    """``{"image", "width", "height", <head>: {...}, ...}`` or ``{"image", "error"}``.

    Args:
        kinds: Output name to kind.

    Raises:
        InputError: A head has the name of one of those keys.
    """

    header = ""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        taken = sorted({name.partition(".")[0] for name in kinds} & set(COLUMNS))
        if taken:
            raise InputError(f"a head is called {taken[0]!r}, as a key of every row is", hint="write a .csv instead")

    def line(self, row: Row) -> str:
        """See :class:`RowFormat`."""
        content: dict[str, Any] = {"image": self.image(row.path)}
        if row.prediction is None:
            content["error"] = row.error
        else:
            height, width = row.prediction.image_hw
            content |= {"width": width, "height": height, **row.prediction.to_json()}
        return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"

    def image(self, path: Path) -> str:
        """See :class:`RowFormat`."""
        return path.as_posix()

    def read(self, line: str) -> RowStatus:
        """See :class:`RowFormat`."""
        content = json.loads(line)
        if not isinstance(content, dict) or not isinstance(content.get("image"), str):
            raise ValueError("no row of predictions")  # noqa: TRY004
        return RowStatus(content["image"], "error" in content)


class Csv:
    """Image, width, height, error, and one column for each number.

    Args:
        kinds: Output name to kind.
        decisions: Frozen decisions; each is one more column, and so is each class of a set.
        guarded: Write text so that no spreadsheet runs it as a formula.
    """

    def __init__(self, kinds: Mapping[str, Kind], decisions: Decisions | None = None, *, guarded: bool = True) -> None:
        self._guarded = guarded
        blanks = {name: kind.columns(blank(kind)) for name, kind in kinds.items()}
        self._numbers = [f"{name}.{column}" for name, columns in blanks.items() for column in columns]
        if decisions is not None:
            self._numbers += decisions.columns(blanks)
        self.header = _joined([*COLUMNS, *map(self._text, self._numbers)])

    def line(self, row: Row) -> str:
        """See :class:`RowFormat`."""
        cells: dict[str, object] = {"image": self.image(row.path), "error": self._text(row.error)}
        if row.prediction is not None:
            cells["height"], cells["width"] = row.prediction.image_hw
            cells |= row.prediction.columns()
        return _joined([cells.get(column, "") for column in (*COLUMNS, *self._numbers)])

    def image(self, path: Path) -> str:
        """See :class:`RowFormat`; what is not UTF-8 is escaped."""
        return self._text(path.as_posix().encode("utf-8", "backslashreplace").decode())

    def read(self, line: str) -> RowStatus:
        """See :class:`RowFormat`."""
        cells = next(csv.reader([line], strict=True), [])
        if len(cells) != len(COLUMNS) + len(self._numbers):
            raise ValueError("no row of predictions")
        return RowStatus(cells[0], bool(cells[3]))

    def _text(self, cell: str) -> str:
        line = cell.replace("\r", "\\r").replace("\n", "\\n")
        return guard(line) if self._guarded else line


def _joined(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
