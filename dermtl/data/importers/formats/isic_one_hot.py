"""ISIC 2018 task 3 and ISIC 2019: one 0/1 column a class.

Source: Codella et al. 2019, arXiv 1902.03368; Combalia et al. 2019, arXiv 1908.02288.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dermtl.data.importers.challenge import Labelled, challenge_rows, from_one_hot
from dermtl.data.importers.importer import Row
from dermtl.data.importers.layout import Table, tables


@dataclass(frozen=True)
class OneHot:
    """``label`` is the name of the column that holds 1.

    Attributes:
        classes: The columns of the ground truth beside ``image``.
    """

    name: str
    summary: str
    classes: tuple[str, ...]

    def recognises(self, source: Path) -> bool:
        """A table with ``image`` and a column a class."""
        return bool(self._truths(source))

    def read(self, source: Path) -> Iterator[Row]:
        """The rows, with metadata, lesions and outlines where they lie in the source.

        Raises:
            ManifestError: A row does not hold exactly one class.
        """
        truths = {table.path: self._labelled(table) for table in self._truths(source)}
        yield from challenge_rows(source, truths, "image")

    def _truths(self, source: Path) -> list[Table]:
        return tables(source, ["image", *self.classes])

    def _labelled(self, table: Table) -> Iterator[Labelled]:
        for where, cells in table.rows():
            others = {column: text for column, text in cells.items() if column != "image"}
            yield where, cells["image"], others, from_one_hot(cells, self.classes, where)


isic_2018 = OneHot(
    "isic_2018",
    "ISIC2018_Task3_*_GroundTruth.csv with image, MEL, NV, BCC, AKIEC, BKL, DF, VASC",
    ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
)
isic_2019 = OneHot(
    "isic_2019",
    "ISIC_2019_*_GroundTruth.csv with image, MEL, NV, BCC, AK, BKL, DF, VASC, SCC, UNK",
    ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"),
)
