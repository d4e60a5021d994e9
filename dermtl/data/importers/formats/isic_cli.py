"""What ``isic image download`` leaves: ``<isic_id>.jpg``, ``metadata.csv`` and the licences."""

import logging
from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, folder_of, tables

_log = logging.getLogger(__name__)
_DIAGNOSES = ("diagnosis", "diagnosis_3", "diagnosis_2", "diagnosis_1", "benign_malignant")  # the finest first


class IsicCli:
    """``label`` is the finest diagnosis that stands in a row; licence and attribution are kept."""

    name = "isic_cli"
    summary = "a download of isic-cli: metadata.csv with isic_id"

    def recognises(self, source: Path) -> bool:
        """A table with a column ``isic_id``."""
        return bool(tables(source, ["isic_id"], depth=1))

    def read(self, source: Path) -> Iterator[Row]:
        """The metadata's rows with all their columns."""
        pictures = Pictures(folder_of(source))
        for table in tables(source, ["isic_id"], depth=1):
            named = [column for column in _DIAGNOSES if column in table.header]
            if named and "label" not in table.header:
                _log.info("label is the first of %s that a row fills", ", ".join(named))
            for where, cells in table.rows():
                row: dict[str, str | Path] = {**cells, "image": pictures.require(cells["isic_id"], where)}
                if named:
                    row.setdefault("label", next((cells[column] for column in named if cells[column]), ""))
                if mask := pictures.mask(cells["isic_id"], where):
                    row["mask"] = mask
                yield row


importer = IsicCli()
