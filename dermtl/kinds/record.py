"""One row of the manifest, as kinds see it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from posixpath import normpath

from dermtl.errors import AnnotationError
from dermtl.imaging.decode import read_size

_PART = r"[^/\\:.\0-\x1f][^/\\:\0-\x1f]*"
_PLAIN = re.compile(rf"{_PART}(?:/{_PART})*")  # nearly all paths, recognised fast
_LEAVES = re.compile(r"^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)|[\0-\x1f]")  # absolute, a drive, upwards, control characters


def safe_relative_path(path: str) -> str | None:
    """A manifest's path, normalised and with forward slashes; None if it could leave its root.

    Only the text is checked: links inside the root are followed.
    """
    if _PLAIN.fullmatch(path):
        return path
    path = path.replace("\\", "/")
    return None if _LEAVES.search(path) else normpath(path)


@dataclass(frozen=True)
class Record:
    """A picture and its cells.

    Attributes:
        image: The picture's path as the manifest writes it.
        root: Folder that paths are relative to.
        cells: Column to text.
        where: ``manifest.csv:12``, for messages.
        group: Records of one group stay on one side of every split.
        split: train, val, test, or empty.
    """

    image: str
    root: Path = field(repr=False)
    cells: Mapping[str, str] = field(repr=False)
    where: str = ""
    group: str = ""
    split: str = ""

    @property
    def path(self) -> Path:
        """The picture's file."""
        return self.root / self.image

    @cached_property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the picture in pixels, after EXIF rotation; the header alone is read."""
        return read_size(self.path)

    def text(self, column: str) -> str | None:
        """A cell without surrounding blanks, or None if it is empty.

        Raises:
            AnnotationError: The manifest has no such column.
        """
        if column not in self.cells:
            known = ", ".join(self.cells)
            raise AnnotationError(f"no column {column!r}; the columns are {known}", where=self.where)
        return self.cells[column].strip() or None

    def is_unknown(self, column: str) -> bool:
        """Whether the cell is empty because it has a word for a missing value, such as NA."""
        return column in getattr(self.cells, "gone", ())

    def file(self, column: str) -> Path | None:
        """A cell as the path of a file under the root, or None if it is empty.

        Raises:
            AnnotationError: The path leaves the root, or there is no such column.
        """
        text = self.text(column)
        if text is None:
            return None
        path = safe_relative_path(text)
        if path is None:
            raise AnnotationError(
                f"column {column!r}: the path {text!r} is absolute or leaves the data's root", where=self.where
            )
        return self.root / path

    def number(self, column: str) -> float | None:
        """A cell as a finite number, or None if it is empty.

        Raises:
            AnnotationError: The cell is not a finite number, or there is no such column.
        """
        text = self.text(column)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if value - value != 0:  # NaN and infinities
            raise AnnotationError(f"column {column!r}: expected a number, got {text!r}", where=self.where)
        return value
