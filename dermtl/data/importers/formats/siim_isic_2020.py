"""SIIM-ISIC 2020: the ground truth, or the competition's ``train.csv``.

Source: Rotemberg et al. 2021, doi 10.1038/s41597-021-00815-z.
"""

from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Pictures, folder_of, tables

_COLUMNS = ("image_name", "patient_id", "benign_malignant", "target")


class SiimIsic2020:
    """``label`` is ``benign_malignant``: ``diagnosis`` is unknown for most pictures."""

    name = "siim_isic_2020"
    summary = "ISIC_2020_Training_GroundTruth.csv or train.csv with image_name, patient_id, benign_malignant, target"

    def recognises(self, source: Path) -> bool:
        """A table with the columns of the ground truth."""
        return bool(tables(source, _COLUMNS))

    def read(self, source: Path) -> Iterator[Row]:
        """The ground truth's rows with all their columns."""
        pictures = Pictures(folder_of(source))
        for table in tables(source, _COLUMNS):
            for where, cells in table.rows():
                image = pictures.require(cells["image_name"], where)
                yield {**cells, "image": image, "label": cells["benign_malignant"]}


importer = SiimIsic2020()
