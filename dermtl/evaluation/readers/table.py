"""The table of readers' decisions, brought together with a model's predictions of the same pictures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.errors import InputError, ManifestError
from dermtl.evaluation.readers.question import Question
from dermtl.evaluation.readers.study import ReaderStudy
from dermtl.files.table import read_table
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decisions

_COLUMNS = ("reader", "image", "decision")
_HINT = "expected the columns reader, image and decision (1 or 0), a row a reading"


@dataclass(frozen=True)
class Studied:
    """A study and what it found.

    Attributes:
        question: That the readers were asked.
        study: Scores and decisions.
        summary: Of :meth:`ReaderStudy.summarise`.
    """

    question: Question
    study: ReaderStudy
    summary: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Head, positive names, and every figure."""
        return {"head": self.question.head, "positive": list(self.question.positive), **self.summary}


@dataclass(frozen=True)
class Readings:
    """What readers decided.

    Attributes:
        where: The table, for messages.
        question: That they were asked.
        decisions: Reader to image to 1 or 0.
    """

    where: str
    question: Question
    decisions: Mapping[str, Mapping[str, float]]

    def study(self, rows: Sequence[Mapping[str, Any]]) -> ReaderStudy:
        """The study of these decisions.

        Args:
            rows: Of predictions.csv, as numbers or text; every image that was read is among them.

        Raises:
            ManifestError: A picture has no truth, or all that were read are of one kind.
        """
        every = {row["image"]: row for row in rows}
        images = [image for image in every if any(image in own for own in self.decisions.values())]
        read = [{column: str(cell) for column, cell in every[image].items()} for image in images]
        truth = np.array([self.question.is_positive(row) for row in read])
        if truth.all() or not truth.any():
            held, names = "all" if truth.all() else "none", " or ".join(self.question.positive)
            told = f"of the {len(images)} pictures read, {held} are {names}: there is no curve to draw"
            raise ManifestError(told, where=self.where)
        return ReaderStudy(
            np.array([self.question.score(row) for row in read]),
            truth,
            [row["group"] for row in read],
            {reader: np.array([own.get(image, np.nan) for image in images]) for reader, own in self.decisions.items()},
        )

    def studied(self, rows: Sequence[Mapping[str, Any]], *, resamples: int = 2000) -> Studied:
        """The study with its figures; arguments and faults as of :meth:`study`."""
        study = self.study(rows)
        return Studied(self.question, study, study.summarise(resamples=resamples))


def read_readings(path: Path, question: Question, images: Collection[str], *, listed: str) -> Readings:
    """Read a table of decisions.

    Args:
        path: CSV with the columns reader, image and decision, 1 for positive and 0 for not; a row a reading.
        question: That was asked.
        images: That are predicted.
        listed: What tells those images, for messages.

    Raises:
        ManifestError: The table cannot be used; the message names file and row.
    """
    decisions: dict[str, dict[str, float]] = {}
    for where, cells in read_table(path):
        if missing := [column for column in _COLUMNS if column not in cells]:
            raise ManifestError(f"no column {missing[0]!r}", where=str(path), hint=_HINT)
        reader, image, decision = (cells[column].strip() for column in _COLUMNS)
        if not reader or decision not in ("0", "1"):
            told = f"expected a reader and 1 or 0, got {reader!r} and {decision!r}"
            raise ManifestError(told, where=where, hint=_HINT)
        if image not in images:
            raise ManifestError(f"image {image!r} was not predicted", where=where, hint=f"{listed} lists those")
        if image in decisions.setdefault(reader, {}):
            raise ManifestError(f"reader {reader!r} decided on {image!r} twice", where=where, hint="keep one decision")
        decisions[reader][image] = float(decision)
    if not decisions:
        raise ManifestError("holds no decisions", where=str(path), hint=_HINT)
    return Readings(str(path), question, decisions)


def read_study(predictions: Path, readers: Path, *, positive: Sequence[str], head: str | None = None) -> ReaderStudy:
    """Bring a predictions.csv that ``dermtl evaluate`` wrote and a table of decisions together.

    Args:
        predictions: The model's.
        readers: As of :func:`read_readings`.
        positive: Classes, tags or nodes that together are positive.
        head: Whose; default: the only one that knows these names.

    Raises:
        DataError: A table cannot be used; the message names file and row.
    """
    rows = {row["image"]: row for _, row in read_table(predictions)}
    question = Question.find(next(iter(rows.values()), {}), positive, head, where=str(predictions))
    return read_readings(readers, question, rows, listed=str(predictions)).study(list(rows.values()))


def readers_question(plans: Mapping[str, HeadPlan], decisions: Decisions, positive: Sequence[str]) -> Question:
    """The question that readers of an evaluation were asked, before anything is predicted.

    Args:
        plans: The heads.
        decisions: The frozen ones.
        positive: Classes, tags or nodes that together are positive; empty takes the only frozen question's.

    Raises:
        InputError: Nothing is named, and not one question is frozen.
        ManifestError: Not one head knows the names.
    """
    head = None
    if not positive:
        if len(decisions.questions) != 1:
            frozen = ", ".join(decision.name for decision in decisions.questions) or "none"
            told = f"what did the readers call positive? Frozen questions: {frozen}"
            raise InputError(told, where="--readers", hint="name it by --positive, which may be repeated")
        (decision,) = decisions.questions
        head, positive = decision.head, decision.positive
    header = [
        f"{output}.{column}"
        for plan in plans.values()
        for output, kind in plan.outputs.items()
        if all(isinstance(extent, int) for extent in kind.shape)
        for column in kind.columns(np.zeros([int(extent) for extent in kind.shape]))
    ]
    return Question.find(header, positive, head, where="the model's heads")
