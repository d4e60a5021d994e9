"""ISIC 2017, part 3: melanoma, seborrheic keratosis, and nevus where neither holds.

Source: Codella et al. 2018, arXiv 1710.05006.
"""

from collections.abc import Iterator
from pathlib import Path

from dermtl.data.importers.challenge import Labelled, challenge_rows, from_one_hot
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Table, tables

_CLASSES = ("melanoma", "seborrheic_keratosis")
_COLUMNS = ("image_id", *_CLASSES)


class Isic2017:
    """``label`` is melanoma, seborrheic_keratosis or nevus."""

    name = "isic_2017"
    summary = "ISIC-2017_*_Part3_GroundTruth.csv with image_id, melanoma, seborrheic_keratosis"

    def recognises(self, source: Path) -> bool:
        """A table with the columns of the ground truth."""
        return bool(tables(source, _COLUMNS))

    def read(self, source: Path) -> Iterator[Row]:
        """The rows, with age and sex and the outlines of part 1 where they lie in the source."""
        truths = {table.path: _labelled(table) for table in tables(source, _COLUMNS)}
        yield from challenge_rows(source, truths, "image_id")


def _labelled(table: Table) -> Iterator[Labelled]:
    for where, cells in table.rows():
        yield where, cells["image_id"], cells, from_one_hot(cells, _CLASSES, where, none="nevus")


importer = Isic2017()
