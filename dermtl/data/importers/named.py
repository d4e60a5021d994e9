"""Any table whose columns are named by the user: the picture, and perhaps class, group and mask."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermtl.config.missing import is_missing
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import ANY_TABLE, Table, folder_of, tables
from dermtl.data.importers.paired import mask_of
from dermtl.data.manifest.folders import Folder, look_around
from dermtl.errors import ManifestError
from dermtl.imaging.decode import SUFFIXES


@dataclass(frozen=True)
class Columns:
    """Columns of a table by what they hold; empty where there is none."""

    image: str = ""
    label: str = ""
    group: str = ""
    mask: str = ""

    @property
    def renamed(self) -> dict[str, str]:
        """Column of the manifest to column of the table."""
        named = {"image": self.image, "label": self.label, "group": self.group, "mask": self.mask}
        return {name: column for name, column in named.items() if column}


def read_named(source: Path, columns: Columns) -> Iterator[Row]:
    """The rows of the table that has these columns, each with its picture found by path, name or stem.

    Masks that lie beside the pictures by name are taken where no column names them.

    Args:
        source: The table, or a folder that holds it.
        columns: Names of the table's columns.

    Raises:
        ManifestError: No table has the columns, several have, or a cell fits several pictures.
    """
    table = _table(source, columns)
    taken = [name for name, column in columns.renamed.items() if name != column and name in table.header]
    if taken:
        hint = f"rename the table's own column {taken[0]!r} first"
        raise ManifestError(f"the table has a column {taken[0]!r} already", where=str(table.path), hint=hint)
    folder = look_around(folder_of(source))
    pictures = _Files(folder, [*folder.pictures])
    masks = _Files(folder, [path for paths in folder.masks.values() for path in paths] + [*folder.stray_masks])
    for where, cells in table.rows():
        if not cells[columns.image]:
            raise ManifestError(f"column {columns.image!r}: expected a picture, got an empty cell", where=where)
        row: dict[str, str | Path] = {
            name: text for name, text in cells.items() if name not in columns.renamed.values()
        }
        picture = pictures.find(cells[columns.image], table.path.parent, where)
        row["image"] = picture
        row |= {name: cells[column] for name, column in columns.renamed.items() if name in ("label", "group")}
        if not columns.mask:
            yield {**row, **mask_of(picture, folder)}
            continue
        text = cells[columns.mask]
        yield {**row, "mask": "" if not text or is_missing(text) else masks.find(text, table.path.parent, where)}


class _Files:
    """Files of a source by path, name and stem, upper and lower case alike."""

    def __init__(self, folder: Folder, paths: Sequence[Path]) -> None:
        self._top = folder.path
        self._known: Mapping[str, list[Path]] = defaultdict(list)
        for path in paths:
            for name in dict.fromkeys((path.relative_to(folder.path).as_posix(), path.name, path.stem)):
                self._known[name.casefold()].append(path)

    def find(self, text: str, beside: Path, where: str) -> Path:
        """The file that a cell means; where there is none, the path at which it would be."""
        text = text.replace("\\", "/")
        path = beside / text
        if path.is_file():
            return Path(os.path.normpath(path))
        name = text.rpartition("/")[2]
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        for key in (text, name, stem if suffix.lower() in SUFFIXES else name):
            found = self._known.get(key.removeprefix("./").casefold(), [])
            if len(found) > 1:
                names = ", ".join(path.relative_to(self._top).as_posix() for path in found[:2])
                raise ManifestError(f"{text!r} fits {len(found)} files: {names}", where=where, hint="write the path")
            if found:
                return found[0]
        return path if suffix.lower() in SUFFIXES else path.with_name(f"{path.name}.jpg")


def _table(source: Path, columns: Columns) -> Table:
    every = [table for table in tables(source, suffixes=ANY_TABLE) if table.header]
    found = [table for table in every if set(columns.renamed.values()) <= set(table.header)]
    if len(found) == 1:
        return found[0]
    wanted = ", ".join(columns.renamed.values())
    if found:
        names = ", ".join(str(table.path) for table in found)
        raise ManifestError(f"several tables have the columns {wanted}: {names}", where=str(source), hint="name one")
    seen = "; ".join(f"{table.path.name}: {', '.join(table.header)}" for table in every) or "no table"
    raise ManifestError(f"no table has the columns {wanted}", where=str(source), hint=f"there is {seen}")
