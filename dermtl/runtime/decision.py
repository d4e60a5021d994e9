"""What was settled on validation and then frozen: a temperature a head, a threshold a question, sets of classes.

Owns the form of ``decisions.json`` in a run, which is also the key ``decisions`` of a bundle, and how a decision is
applied. Knows nothing of how it was chosen.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import BundleError
from dermtl.runtime.class_set import ClassSet

SCHEMA = 1


@dataclass(frozen=True)
class Decision:
    """A yes or no that is asked of a head's probabilities.

    Attributes:
        head: Whose.
        output: Name of the output with the probabilities, ``diagnosis.probability``.
        name: Of the question: the positive classes, ``mel+bcc``, or the label.
        positive: Names of the columns whose probabilities add up to the score.
        threshold: A score of at least this is positive; 0..1, calibrated, or 2 where nobody is to be called positive.
        doubtful: Scores from the first to below the second are better left to a human; None where no such band is
            known.
        chosen: How it was chosen: rule, counts, what it achieved on validation; plain JSON types.
    """

    head: str
    output: str
    name: str
    positive: tuple[str, ...]
    threshold: float
    doubtful: tuple[float, float] | None = None
    chosen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """Its column in tables, ``diagnosis.decision.mel+bcc``: 1 positive, 0 not."""
        return f"{self.head}.decision.{self.name}"

    def score(self, probability: Mapping[str, float]) -> float:
        """The score of one picture's probabilities, by name."""
        return float(sum(probability[name] for name in self.positive))

    def is_doubtful(self, scores: Array) -> Array:
        """Whether each score lies in the band, bool of the scores' shape."""
        values = np.asarray(scores, np.float64)
        if self.doubtful is None:
            return np.zeros(values.shape, bool)
        return np.asarray((values >= self.doubtful[0]) & (values < self.doubtful[1]))

    def answer(self, probability: Mapping[str, float]) -> dict[str, Any]:
        """``positive``, ``score``, ``threshold``, and ``doubtful`` where a band is known."""
        score = self.score(probability)
        found: dict[str, Any] = {"positive": score >= self.threshold, "score": score, "threshold": self.threshold}
        if self.doubtful is not None:
            found["doubtful"] = bool(self.is_doubtful(np.asarray(score)))
        return found


@dataclass(frozen=True)
class Decisions:
    """All of a model's.

    Attributes:
        temperatures: Head to the T its logits are divided by; heads without one are left as they are.
        questions: Every decision, in the order of the heads.
        facts: On what they were settled: split, records, digests, figures before and after; plain JSON types.
        sets: At most one a head.
    """

    temperatures: Mapping[str, float] = field(default_factory=dict)
    questions: tuple[Decision, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    sets: tuple[ClassSet, ...] = ()

    def of(self, head: str) -> list[Decision]:
        """The decisions of one head."""
        return [decision for decision in self.questions if decision.head == head]

    def outputs_of(self, head: str) -> set[str]:
        """Names of the outputs that one head's decisions and set look at."""
        found = self.set_of(head)
        return {decision.output for decision in self.of(head)} | ({found.output} if found is not None else set())

    def set_of(self, head: str) -> ClassSet | None:
        """The set of one head, where it has one."""
        return next((found for found in self.sets if found.head == head), None)

    def columns(self, values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Every decision as one number a column, every set as one number a class.

        Args:
            values: Output name to its columns of one picture; what needs other outputs is left out.
        """
        decided = {
            decision.column: float(decision.score(values[decision.output]) >= decision.threshold)
            for decision in self.questions
            if decision.output in values
        }
        held = [found.columns(values[found.output]) for found in self.sets if found.output in values]
        return decided | {column: number for columns in held for column, number in columns.items()}

    def answer(self, head: str, values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        """A head's answers of one picture, in plain JSON types.

        Args:
            head: Whose.
            values: As of :meth:`columns`.

        Returns:
            ``decision``, question to answer, and ``set``; neither where the head has none.
        """
        decided = {asked.name: asked.answer(values[asked.output]) for asked in self.of(head) if asked.output in values}
        found = self.set_of(head)
        held = {"set": found.answer(values[found.output])} if found is not None and found.output in values else {}
        return ({"decision": decided} if decided else {}) | held

    def to_json(self) -> dict[str, Any]:
        """Everything, in plain JSON types."""
        questions = [
            {**asdict(decision), "positive": list(decision.positive), "doubtful": _pair(decision.doubtful)}
            for decision in self.questions
        ]
        return {
            "schema": SCHEMA,
            "temperatures": dict(self.temperatures),
            "questions": questions,
            "sets": [found.to_json() for found in self.sets],
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, document: Any) -> "Decisions":
        """Read :meth:`to_json`.

        Raises:
            BundleError: It is of another schema, or a value does not fit.
        """
        hint = "settle them again with dermtl calibrate"
        try:
            if document["schema"] != SCHEMA:
                raise BundleError(
                    f"the decisions have schema {document['schema']!r}, this dermtl reads {SCHEMA}", hint=hint
                )
            temperatures = {str(head): _number(value) for head, value in document["temperatures"].items()}
            questions = tuple(_decision(entry) for entry in document["questions"])
            facts = dict(document["facts"])
            sets = tuple(ClassSet.from_json(entry) for entry in document.get("sets", ()))  # older files have none
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(f"the decisions cannot be read: {type(error).__name__}: {error}", hint=hint) from error
        if any(value <= 0 for value in temperatures.values()):
            raise BundleError(f"a temperature is not above 0: {temperatures}", hint=hint)
        return cls(temperatures, questions, facts, sets)


def _decision(entry: Mapping[str, Any]) -> Decision:
    positive = entry["positive"]
    if not isinstance(positive, list) or not positive or not all(isinstance(name, str) for name in positive):
        raise ValueError(f"expected the names of positive classes, got {positive!r}")
    band = entry["doubtful"]
    return Decision(
        head=str(entry["head"]),
        output=str(entry["output"]),
        name=str(entry["name"]),
        positive=tuple(positive),
        threshold=_number(entry["threshold"]),
        doubtful=None if band is None else (_number(band[0]), _number(band[1])),
        chosen=dict(entry["chosen"]),
    )


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError(f"expected a finite number, got {value!r}")
    return float(value)


def _pair(band: tuple[float, float] | None) -> list[float] | None:
    return None if band is None else list(band)
