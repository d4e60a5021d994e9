"""The table of readers' decisions, brought together with a model's predictions of the same pictures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.errors import ManifestError
from dermtl.evaluation.predict.files import read_columns
from dermtl.evaluation.predict.predictions import Cell
from dermtl.evaluation.readers.decision import ReaderDecision
from dermtl.evaluation.readers.study import ReaderStudy
from dermtl.files.table import read_table

_COLUMNS = ("reader", "image", "decision")
_HINT = "expected the columns reader, image and decision (1 or 0), one row for each decision"


@dataclass(frozen=True)
class ReaderStudyResult:
    """A reader study and its summary.

    Attributes:
        decision: The decision that the readers were asked to make.
        study: Scores and decisions.
        summary: The result of :meth:`ReaderStudy.summarise`.
    """

    decision: ReaderDecision
    study: ReaderStudy
    summary: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Head, positive names, and every estimate."""
        return {"head": self.decision.head, "positive": list(self.decision.positive), **self.summary}


@dataclass(frozen=True)
class ReaderDecisions:
    """What readers decided.

    Attributes:
        where: The table, for messages.
        decision: The decision that they were asked to make.
        answers: Reader to image to 1 or 0.
    """

    where: str
    decision: ReaderDecision
    answers: Mapping[str, Mapping[str, float]]

    def beside(self, table: Mapping[str, Sequence[Cell]]) -> ReaderStudy:
        """These decisions beside a model's scores.

        Args:
            table: Columns of predictions.csv, numbers or text; every image that was read is in them.

        Raises:
            ManifestError: A picture has no truth, or all that were read are of one kind.
        """
        images = [str(image) for image in table["image"]]
        rows = [row for row, image in enumerate(images) if any(image in of for of in self.answers.values())]
        truth = self.decision.positives(table, rows)
        if truth.all() or not truth.any():
            count, names = "all" if truth.all() else "none", " or ".join(self.decision.positive)
            message = f"of the {len(rows)} pictures read, {count} are {names}: there is no curve to draw"
            raise ManifestError(message, where=self.where)
        return ReaderStudy(
            self.decision.scores(table, rows),
            truth,
            [str(table["group"][row]) for row in rows],
            {
                reader: np.array([of_reader.get(images[row], np.nan) for row in rows])
                for reader, of_reader in self.answers.items()
            },
        )

    def study(self, table: Mapping[str, Sequence[Cell]], *, resamples: int = 2000) -> ReaderStudyResult:
        """The study with its summary; arguments and faults as of :meth:`beside`."""
        study = self.beside(table)
        return ReaderStudyResult(self.decision, study, study.summarise(resamples=resamples))


def read_reader_decisions(
    path: Path, decision: ReaderDecision, images: Collection[str], *, listed: str
) -> ReaderDecisions:
    """Read a table of decisions.

    Args:
        path: CSV with the columns reader, image and decision, 1 for positive and 0 for not, one row for each decision.
        decision: The decision that the readers were asked to make.
        images: Names of the predicted pictures.
        listed: Where those names are listed, for messages.

    Raises:
        ManifestError: The table cannot be used; the message names file and row.
    """
    answers: dict[str, dict[str, float]] = {}
    for where, cells in read_table(path):
        if missing := [column for column in _COLUMNS if column not in cells]:
            raise ManifestError(f"no column {missing[0]!r}", where=str(path), hint=_HINT)
        reader, image, answer = (cells[column].strip() for column in _COLUMNS)
        if not reader or answer not in ("0", "1"):
            message = f"expected a reader and 1 or 0, got {reader!r} and {answer!r}"
            raise ManifestError(message, where=where, hint=_HINT)
        if image not in images:
            raise ManifestError(f"image {image!r} was not predicted", where=where, hint=f"{listed} lists those")
        if image in answers.setdefault(reader, {}):
            raise ManifestError(f"reader {reader!r} decided on {image!r} twice", where=where, hint="keep one decision")
        answers[reader][image] = float(answer)
    if not answers:
        raise ManifestError("holds no decisions", where=str(path), hint=_HINT)
    return ReaderDecisions(str(path), decision, answers)


def read_study(predictions: Path, readers: Path, *, positive: Sequence[str], head: str | None = None) -> ReaderStudy:
    """Bring a predictions.csv that ``dermtl evaluate`` wrote and a table of decisions together.

    Args:
        predictions: The model's table.
        readers: The table of :func:`read_reader_decisions`.
        positive: Classes, tags or nodes that together are positive.
        head: The head that is meant; None: the only one that knows these names.

    Raises:
        DataError: A table cannot be used; the message names file and row.
    """
    table = read_columns(predictions)
    decision = ReaderDecision.find(table, positive, head, where=str(predictions))
    return read_reader_decisions(readers, decision, set(table["image"]), listed=str(predictions)).beside(table)
