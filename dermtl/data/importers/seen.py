"""What lies in a source, in words, and the command that reads it where the folders alone do not tell."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PureWindowsPath

from dermtl.data.importers.layout import ANY_TABLE, Table, header_of, tables
from dermtl.data.importers.named import Columns
from dermtl.data.manifest.folders import Folder, first_names
from dermtl.data.manifest.people import names_people
from dermtl.errors import DataError
from dermtl.files.spreadsheet import WORKBOOK_HINT

WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_OWN = (".lock.json",)
_LABELS = (
    "label",
    "class",
    "diagnosis",
    "dx",
    "diagnostic",
    "diagnose",
    "diagnosis_1",
    "target",
    "category",
    "finding",
)
_ROWS = 200  # rows that are enough to know what a column holds
_SHOWN = 5


def tell(folder: Folder) -> list[str]:
    """One line each for pictures, masks, companions, tables and files that are left out."""
    lines = [f"pictures  {len(folder.pictures)}{_folders(folder)}"]
    if folder.masks:
        lines.append(f"masks     {sum(map(len, folder.masks.values()))} of {len(folder.masks)} pictures")
    if folder.stray_masks:
        lines.append(f"masks of no picture  {_few(folder.stray_masks)}")
    if folder.companions:
        lines.append(f"made from a picture, left out  {_few(folder.companions)}")
    found = [table for table in tables(folder.path, suffixes=ANY_TABLE) if table.header]
    lines += [f"table     {_within(table.path, folder)}: {', '.join(table.header)}" for table in found]
    known = {table.path for table in found}
    rest = [path for path in folder.others if path not in known and not path.name.endswith(_OWN)]
    if rest:
        lines.append(f"other files  {_few(rest)}")
    return lines


def tell_unread(folder: Folder) -> Iterator[str]:
    """Tables and workbooks that lie beside pictures, each with its columns."""
    read = _real(folder)
    for table in read:
        yield f"{_within(table.path, folder)} is not read (columns {', '.join(table.header)})"
    for path in folder.others:
        if path.suffix.lower() in WORKBOOKS and path not in {table.path for table in read}:
            yield f"{_within(path, folder)} is an Excel workbook and is not read: {WORKBOOK_HINT}"


def suggest(source: Path, folder: Folder) -> str:
    """The command that reads the table whose cells name the pictures, or empty."""
    columns = guess_columns(source, folder)
    if columns is None:
        return ""
    options = {
        "--image-column": columns.image,
        "--label-column": columns.label,
        "--group-column": columns.group,
        "--mask-column": columns.mask,
    }
    words = [word for option, column in options.items() if column for word in (option, column)]
    return shlex.join(["dermtl", "data", "import", str(source), *words])


def guess_columns(source: Path, folder: Folder) -> Columns | None:
    """Columns of the first table whose cells name pictures: by what cells name, and by usual names of columns.

    Args:
        source: A table, or a folder that may hold some.
        folder: What lies around it.
    """
    names = {name.casefold() for path in folder.pictures for name in (path.name, path.stem)}
    masks = {path.name.casefold() for found in folder.masks.values() for path in found}
    candidates = [Table(source, header_of(source))] if source.is_file() else _real(folder)
    for table in candidates:
        try:
            rows = [cells for _, cells in islice(table.rows(), _ROWS)]
        except DataError:
            continue
        if image := _naming(rows, names):
            group = next((column for column in rows[0] if names_people(column)), "")
            return Columns(image, usual_label([*rows[0]], image), group, _naming(rows, masks))
    return None


def _real(folder: Folder) -> list[Table]:
    return [table for table in tables(folder.path, suffixes=ANY_TABLE) if len(table.header) > 1]


def _naming(rows: Sequence[Mapping[str, str]], names: set[str]) -> str:
    """The column whose cells name most files, if they are at least half."""
    counts = Counter(
        {column: sum(PureWindowsPath(row[column]).name.casefold() in names for row in rows) for column in rows[0]}
        if rows
        else {}
    )
    best = counts.most_common(1)
    return best[0][0] if best and best[0][1] * 2 >= len(rows) else ""


def usual_label(header: Sequence[str], image: str) -> str:
    """The first column with a name that is usual for a class, or empty.

    Args:
        header: Columns of a table.
        image: The column that names the pictures, which is no class.
    """
    named = {column.casefold(): column for column in header}
    return next((named[word] for word in _LABELS if word in named and named[word] != image), "")


def _folders(folder: Folder) -> str:
    nums = Counter(_within(path.parent, folder) for path in folder.pictures)
    few = ", ".join(f"{name} {num}" for name, num in list(nums.items())[:_SHOWN])
    more = f" and {len(nums) - _SHOWN} more folders" if len(nums) > _SHOWN else ""
    return f" ({few}{more})" if nums else ""


def _few(paths: Sequence[Path]) -> str:
    return f"{len(paths)}: {first_names(paths)}"


def _within(path: Path, folder: Folder) -> str:
    return path.relative_to(folder.path).as_posix()
