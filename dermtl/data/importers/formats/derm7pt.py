"""Derm7pt: ``meta/meta.csv`` and a dermoscopic and a clinical picture of each case.

Each case gives two rows with its ``diagnosis`` as ``label``, ``case_num`` as ``lesion_id`` and ``view`` dermoscopic or
clinical. ``split`` comes from ``train_indexes.csv``, ``valid_indexes.csv`` and ``test_indexes.csv``, which count the
table's rows from 0.

Source: Kawahara et al. 2019, doi 10.1109/JBHI.2018.2824327; the release's README, derm.cs.sfu.ca.
"""

from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import folder_of, tables
from dermtl.errors import ManifestError

_COLUMNS = ("case_num", "diagnosis", "clinic", "derm")
_VIEWS = {"derm": "dermoscopic", "clinic": "clinical"}
_SPLITS = {"train_indexes": "train", "valid_indexes": "val", "test_indexes": "test"}


class Derm7pt:
    """Two pictures of one case stay together through ``lesion_id``."""

    name = "derm7pt"
    summary = "Derm7pt: meta/meta.csv with case_num, diagnosis, clinic, derm"

    def recognises(self, source: Path) -> bool:
        """A table with the columns of the metadata."""
        return bool(tables(source, _COLUMNS))

    def read(self, source: Path) -> Iterator[Row]:
        """Two rows for each case.

        Raises:
            ManifestError: An index is no number.
        """
        for table in tables(source, _COLUMNS):
            folder = table.path.parent
            places = (folder, folder.parent, folder_of(source))
            top = next((place for place in places if (place / "images").is_dir()), folder)
            splits = _splits(folder)
            for index, (_, cells) in enumerate(table.rows()):
                for column, view in _VIEWS.items():
                    if not cells[column]:
                        continue
                    row: dict[str, str | Path] = {**cells, "image": top / "images" / cells[column], "view": view}
                    row |= {"label": cells["diagnosis"], "lesion_id": cells["case_num"]}
                    yield {**row, "split": splits.get(index, "")} if splits else row


def _splits(folder: Path) -> dict[int, str]:
    """Position of a case to its split."""
    found: dict[int, str] = {}
    for table in tables(folder, ["indexes"], depth=1):
        if split := _SPLITS.get(table.path.stem):
            for where, cells in table.rows():
                if not cells["indexes"].isdecimal():
                    raise ManifestError(f"expected the number of a row, got {cells['indexes']!r}", where=where)
                found[int(cells["indexes"])] = split
    return found


importer = Derm7pt()
