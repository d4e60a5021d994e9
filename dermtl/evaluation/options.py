"""What an evaluation is asked for beyond the metrics of every head."""

from collections.abc import Sequence
from dataclasses import dataclass

from dermtl.evaluation.decisions.operating_point import PREVALENCES
from dermtl.evaluation.readers.table import ReaderDecisions
from dermtl.evaluation.slices.subgroups import By
from dermtl.evaluation.slices.units import unit_column
from dermtl.kinds import Record

RESAMPLES = 2000


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation, the same for a run, a file, folds and a stored evaluation.

    Attributes:
        by: Columns that divide the records into subgroups.
        unit: Column of lesions or patients whose pictures are also taken together; None: ``lesion_id``, else groups.
        prevalences: Prevalences at which predictive values are given.
        resamples: Number of bootstrap resamples.
        readers: What clinicians decided on some of the pictures.
    """

    by: Sequence[By] = ()
    unit: str | None = None
    prevalences: Sequence[float] = PREVALENCES
    resamples: int = RESAMPLES
    readers: ReaderDecisions | None = None

    def check(self, records: Sequence[Record]) -> None:
        """Refuse a column that is missing before anything is predicted.

        Raises:
            ManifestError: The table has no such column.
        """
        if records:
            for by in self.by:
                by.value(records[0])
            unit_column(records, self.unit)
