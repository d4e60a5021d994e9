"""Looking around in a source: its tables, their header lines, and its pictures by name. Opens no picture."""

import filecmp
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dermtl.data.importers.lock import is_imported
from dermtl.data.manifest.folders import WRITTEN
from dermtl.errors import ManifestError
from dermtl.files.spreadsheet import read_spreadsheet, spreadsheet_header
from dermtl.files.workbook import SUFFIXES as WORKBOOK_SUFFIXES
from dermtl.imaging.decode import SUFFIXES

_TABLES = frozenset({"", ".csv", ".tsv", ".tab"})
ANY_TABLE = _TABLES | set(WORKBOOK_SUFFIXES)
"""Endings of tables in a source of any layout; those of a known layout are texts."""
_SPLIT = re.compile(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A CSV of the source.

    Attributes:
        header: Names of the columns, without surrounding blanks.
    """

    path: Path
    header: tuple[str, ...]

    def rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        """``file:line`` and the row with stripped cells; a column without a name (a written index) is left out."""
        for where, cells in read_spreadsheet(self.path):
            yield where, {column: cells[column].strip() for column in cells if column}


def tables(source: Path, columns: Iterable[str] = (), *, depth: int = 2, suffixes: Iterable[str] = ()) -> list[Table]:
    """The tables of a source that have all of these columns, imported manifests left out.

    Args:
        source: A table, or a folder to look into.
        columns: Columns to ask for.
        depth: Levels of folders to look into.
        suffixes: Endings of tables' names; default: csv, tsv, tab and none.
    """
    wanted, endings = set(columns), frozenset(suffixes) or _TABLES
    files = [source] if source.is_file() else files_of(source, endings, depth)
    found = [Table(path, header_of(path)) for path in files]
    return [table for table in found if wanted <= set(table.header) and not is_imported(table.path)]


def header_of(path: Path) -> tuple[str, ...]:
    """The columns of a table; none where the file is no text."""
    return spreadsheet_header(path)


def files_of(folder: Path, suffixes: Collection[str], depth: int = 2) -> list[Path]:
    """Files with one of the suffixes, sorted, hidden ones and written pictures left out.

    Args:
        folder: Where to look.
        suffixes: With a leading dot, in lower case; an empty one stands for names without a suffix.
        depth: Levels of folders to look into; 1 for the folder itself.
    """
    endings = tuple(suffix for suffix in suffixes if suffix)
    has_bare, found, base = "" in set(suffixes), [], len(folder.parts)
    for top, folders, names in os.walk(folder):
        level = len(Path(top).parts) - base
        shown = [name for name in folders if not name.startswith(".") and not name.endswith(WRITTEN)]
        folders[:] = shown if level + 1 < depth else []
        found += [
            Path(top, name)
            for name in names
            if (name.lower().endswith(endings) or (has_bare and "." not in name)) and not name.startswith(".")
        ]
    return sorted(found)


def split_of(name: str) -> str:
    """train, val or test where a name of a file says so, else empty."""
    found = {match.lower() for match in _SPLIT.findall(name)}
    return found.pop() if len(found) == 1 else ""


class Pictures:
    """The pictures below a folder, by name without suffix; the folder is walked when the first is asked for.

    Args:
        folder: Where to look.
        depth: Levels of folders to look into.
        without: Names of folders whose files are no pictures.
    """

    def __init__(self, folder: Path, depth: int = 8, without: Collection[str] = ()) -> None:
        self._folder = folder
        self._depth = depth
        self._without = without

    @cached_property
    def _paths(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in files_of(self._folder, SUFFIXES, self._depth):
            if path.parent.name not in self._without:
                found.setdefault(path.stem.lower(), []).append(path)
        return found

    def __iter__(self) -> Iterator[Path]:
        return (path for paths in self._paths.values() for path in paths)

    def find(self, name: str, where: str = "") -> Path | None:
        """The picture of this name, upper and lower case alike, or None.

        Args:
            name: Without folders, and with or without the suffix of a picture.
            where: The row that asks, for messages.

        Raises:
            ManifestError: Several files of different content have this name.
        """
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        paths = self._paths.get((stem if suffix.lower() in SUFFIXES else name).lower(), [])
        paths = [path for path in paths if path.name.lower() == name.lower()] or paths
        for other in paths[1:]:
            if not filecmp.cmp(paths[0], other, shallow=False):
                named = f"{_within(paths[0], self._folder)} and {_within(other, self._folder)}"
                raise ManifestError(f"two files are named {name}: {named}", where=where, hint="keep one of them")
        return paths[0] if paths else None

    def require(self, name: str, where: str = "") -> Path:
        """The picture of this name, or the path at which it would be, for the list of missing ones."""
        known = os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122
        return self.find(name, where) or self._folder / (name if known else f"{name}.jpg")

    def mask(self, name: str, where: str = "") -> Path | None:
        """The outline ``<name>_segmentation`` of a picture, or None."""
        return self.find(f"{name}_segmentation", where)


def folder_of(source: Path) -> Path:
    """The folder of a source that may be a file."""
    return source if source.is_dir() else source.parent


def _within(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
