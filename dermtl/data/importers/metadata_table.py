"""Data sets that come as one table: a row for each picture, named by one column, its class in another."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, folder_of, tables

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetadataTable:
    """All columns pass through; ``image`` and ``label`` are added, and ``mask`` for ``<name>_segmentation``.

    Attributes:
        name: What ``--format`` calls it.
        summary: One line for lists.
        columns: Columns by which a table is recognised.
        image: Column with the picture's name, with or without suffix.
        label: Columns with the class; the first that a row fills counts.
        renamed: Column of the manifest to column of the table whose text it repeats.
        depth: Levels of folders in which tables are looked for.
    """

    name: str
    summary: str
    columns: tuple[str, ...]
    image: str
    label: tuple[str, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)
    depth: int = 2

    def recognises(self, source: Path) -> bool:
        """A table with the columns."""
        return bool(tables(source, self.columns, depth=self.depth))

    def read(self, source: Path) -> Iterator[Row]:
        """The tables' rows with all their columns."""
        pictures = Pictures(folder_of(source))
        for table in tables(source, self.columns, depth=self.depth):
            labels = [column for column in self.label if column in table.header]
            if len(labels) > 1:
                _log.info("label is the first of %s that a row fills", ", ".join(labels))
            for where, cells in table.rows():
                name = cells[self.image]
                row: dict[str, str | Path] = {**cells, "image": pictures.require(name, where)}
                if labels:
                    row["label"] = next((cells[column] for column in labels if cells[column]), "")
                row |= {new: cells[column] for new, column in self.renamed.items()}
                if mask := pictures.mask(name, where):
                    row["mask"] = mask
                yield row
