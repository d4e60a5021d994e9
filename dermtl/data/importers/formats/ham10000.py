"""HAM10000: ``HAM10000_metadata`` and the pictures in two folders or one; the lesion masks, where they are.

Source: Tschandl, Rosendahl, Kittler 2018, doi 10.1038/sdata.2018.161.
"""

from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, folder_of, tables

_COLUMNS = ("lesion_id", "image_id", "dx")


class Ham10000:
    """``label`` is ``dx``: akiec, bcc, bkl, df, mel, nv, vasc; copies that write it out keep their words."""

    name = "ham10000"
    summary = "HAM10000_metadata.csv with image_id, lesion_id, dx"

    def recognises(self, source: Path) -> bool:
        """A table with ``lesion_id``, ``image_id`` and ``dx``."""
        return bool(tables(source, _COLUMNS))

    def read(self, source: Path) -> Iterator[Row]:
        """The metadata's rows with all their columns."""
        pictures = Pictures(folder_of(source))
        for table in tables(source, _COLUMNS):
            for where, cells in table.rows():
                name = cells["image_id"]
                row: dict[str, str | Path] = {**cells, "image": pictures.require(name, where), "label": cells["dx"]}
                if mask := pictures.mask(name, where):
                    row["mask"] = mask
                yield row


importer = Ham10000()
