"""Two evaluations of the same records, brought into one order; other records and other truths are refused."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.evaluation.compare.common_nodes import CommonNodes
from dermtl.evaluation.predict.predictions import Predictions
from dermtl.evaluation.predict.probabilities import column_names
from dermtl.evaluation.saved_evaluation import SavedEvaluation
from dermtl.kinds import Category


@dataclass(frozen=True)
class Pair:
    """Two evaluations of the same records.

    Attributes:
        first: Predictions of the first model.
        second: Predictions of the second model.
        rows: int64 [n], for every record of the first its row in the second.
    """

    first: SavedEvaluation
    second: SavedEvaluation
    rows: Array

    @classmethod
    def of(cls, first: SavedEvaluation, second: SavedEvaluation) -> "Pair":
        """Match the records of two evaluations.

        Raises:
            DataError: One has records that the other lacks, or a record is of another group there.
        """
        _refuse_other_records(first, second)
        position = {image: row for row, image in enumerate(second.predictions.images)}
        return cls(first, second, np.array([position[image] for image in first.predictions.images], np.int64))

    @property
    def predictions(self) -> tuple[Predictions, Predictions]:
        """What both predicted."""
        return self.first.predictions, self.second.predictions

    def common_nodes(self, head: str) -> CommonNodes | None:
        """The nodes that both know, of a head whose classes, and the truths in them, differ; None of others.

        Raises:
            DataError: The classes have no node in common.
        """
        one, other = (column_names(of.plans[head].target) for of in self.predictions)
        truths = self._truths(head, "class")
        if set(one) == set(other) or all(mine == theirs for _, mine, theirs in truths):
            return None
        try:
            return CommonNodes.of(one, other)
        except DataError as error:
            where = str(self.second.folder)
            raise DataError(f"head {head!r}: {error.message}", where=where, hint=error.hint) from error

    def refuse_other_truths(self, head: str, common: CommonNodes | None) -> None:
        """Refuse truths that differ, but for classes that lie in one common node.

        Raises:
            DataError: With the first record whose truths differ.
        """
        one, other = (of.truths.get(head) for of in self.predictions)
        if one is None or other is None:
            return
        for column in one.columns:
            if column not in other.columns:
                continue
            for image, mine, theirs in self._truths(head, column):
                merged = common if column == "class" else None
                if mine != theirs and (merged is None or merged.place(theirs) != merged.place(mine)):
                    raise DataError(
                        f"image {image} has {head}.truth.{column} = {theirs}, but {mine} in {self.first.folder}",
                        where=str(self.second.folder),
                        hint="evaluate both on the same labels",
                    )

    def _truths(self, head: str, column: str) -> list[tuple[str, Any, Any]]:
        """Image, and both truths of a column, of the records of which both know one; classes by name."""
        cells, known = [], []
        for of, rows in zip(self.predictions, (np.arange(len(self.rows)), self.rows), strict=True):
            truths = of.truths.get(head)
            if truths is None or column not in truths.columns:
                return []
            values = truths.columns[column][rows].tolist()
            target = of.plans[head].target
            if isinstance(target, Category):
                values = [target.classes[value] for value in values]
            cells.append([None if value != value else value for value in values])  # NaN is like NaN
            known.append(truths.known[rows])
        rows_of_both = np.flatnonzero(known[0] & known[1]).tolist()
        images = self.first.predictions.images
        return [(images[row], cells[0][row], cells[1][row]) for row in rows_of_both]


def _refuse_other_records(first: SavedEvaluation, second: SavedEvaluation) -> None:
    images = [set(saved.predictions.images) for saved in (first, second)]
    for one, other, others in ((first, second, images[1]), (second, first, images[0])):
        if lacking := [image for image in one.predictions.images if image not in others]:
            raise DataError(
                f"lacks {len(lacking)} of {len(one.predictions)} records that {one.folder} has, such as {lacking[0]}",
                where=str(other.folder),
                hint="evaluate both on the same --manifest and --split",
            )
    groups = dict(zip(second.predictions.images, second.predictions.groups, strict=True))
    for image, group in zip(first.predictions.images, first.predictions.groups, strict=True):
        if group != groups[image]:
            raise DataError(f"image {image} is of another group in {first.folder}", where=str(second.folder))
