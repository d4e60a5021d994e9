"""PAD-UFES-20: smartphone pictures; ``metadata.csv`` and three folders of PNG files.

Source: Pacheco et al. 2020, doi 10.1016/j.dib.2020.106221.
"""

from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, folder_of, tables

_COLUMNS = ("patient_id", "lesion_id", "diagnostic", "img_id")


class PadUfes20:
    """``label`` is ``diagnostic``: ACK, BCC, MEL, NEV, SCC, SEK. ``img_id`` holds the file's name with its suffix."""

    name = "pad_ufes_20"
    summary = "PAD-UFES-20: metadata.csv with patient_id, lesion_id, diagnostic, img_id"

    def recognises(self, source: Path) -> bool:
        """A table with the columns of the metadata."""
        return bool(tables(source, _COLUMNS))

    def read(self, source: Path) -> Iterator[Row]:
        """The metadata's rows with all their columns."""
        pictures = Pictures(folder_of(source))
        for table in tables(source, _COLUMNS):
            for where, cells in table.rows():
                yield {**cells, "image": pictures.require(cells["img_id"], where), "label": cells["diagnostic"]}


importer = PadUfes20()
