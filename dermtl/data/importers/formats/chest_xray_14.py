"""NIH ChestX-ray14: ``Data_Entry_2017*.csv`` and twelve folders of PNG files.

``label`` is the text of the findings, such as ``Cardiomegaly|Effusion``, and every finding has a column of 0 and 1 for
a head of labels. ``patient_id`` repeats ``Patient ID``; ``split`` comes from ``train_val_list.txt`` (train) and
``test_list.txt`` (test) where both are there.

Source: Wang et al. 2017, arXiv 1705.02315; the release's README, nihcc.app.box.com/v/ChestXray-NIHCC.
"""

from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, folder_of, tables

_COLUMNS = ("Image Index", "Finding Labels", "Patient ID")
_NONE = "No Finding"
_LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}


class ChestXray14:
    """The fourteen findings are taken from the table, so a part of it has as many columns as it has findings."""

    name = "chest_xray_14"
    summary = "NIH ChestX-ray14: Data_Entry_2017.csv with Image Index, Finding Labels, Patient ID"

    def recognises(self, source: Path) -> bool:
        """A table with the columns of the release."""
        return bool(tables(source, _COLUMNS))

    def read(self, source: Path) -> Iterator[Row]:
        """The table's rows with all their columns."""
        folder = folder_of(source)
        pictures, splits = Pictures(folder), _splits(folder)
        for table in tables(source, _COLUMNS):
            rows = list(table.rows())
            findings = sorted({word for _, cells in rows for word in cells["Finding Labels"].split("|")} - {_NONE, ""})
            for where, cells in rows:
                name, held = cells["Image Index"], set(cells["Finding Labels"].split("|"))
                row: dict[str, str | Path] = {**cells, "image": pictures.require(name, where)}
                row |= {"label": cells["Finding Labels"], "patient_id": cells["Patient ID"]}
                row |= {finding: str(int(finding in held)) for finding in findings}
                yield {**row, "split": splits.get(name, "")} if splits else row


def _splits(folder: Path) -> dict[str, str]:
    """Name of a picture to its split; empty unless both lists are there."""
    lists = {split: folder / name for name, split in _LISTS.items()}
    if not all(path.is_file() for path in lists.values()):
        return {}
    return {name: split for split, path in lists.items() for name in path.read_text(encoding="utf-8").split()}


importer = ChestXray14()
