"""Decisions frozen on validation: temperatures of heads, thresholds of binary decisions, sets of classes.

Owns the schema of ``decisions.json`` in a run, which is also the key ``decisions`` of a bundle, and how decisions are
applied. Knows nothing of how they are chosen.
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
    """A binary decision on the probabilities of a head.

    Attributes:
        head: Name of the head.
        output: Name of the output with the probabilities, ``diagnosis.probability``.
        name: Name of the decision: the positive classes, ``mel+bcc``, or the label.
        positive: Names of the columns whose probabilities add up to the score.
        threshold: Smallest score that is positive; calibrated, 0..1, or 2 if no score is to be positive.
        doubtful: Range of scores, without its upper end, that are better left to a human; None if there is no such
            range.
        chosen: How it was chosen: rule, counts, and metrics on validation; plain JSON types.
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
        """Name of its column in tables, ``diagnosis.decision.mel+bcc``; 1 is positive, 0 negative."""
        return f"{self.head}.decision.{self.name}"

    def score(self, probability: Mapping[str, float]) -> float:
        """The score of one picture from its probabilities by name."""
        return float(sum(probability[name] for name in self.positive))

    def is_doubtful(self, scores: Array) -> Array:
        """Whether each score lies in the doubtful range; bool of the shape of the scores."""
        values = np.asarray(scores, np.float64)
        if self.doubtful is None:
            return np.zeros(values.shape, bool)
        return np.asarray((values >= self.doubtful[0]) & (values < self.doubtful[1]))

    def outcome(self, probability: Mapping[str, float]) -> dict[str, Any]:
        """``positive``, ``score``, ``threshold``, and ``doubtful`` if there is such a range."""
        score = self.score(probability)
        outcome: dict[str, Any] = {"positive": score >= self.threshold, "score": score, "threshold": self.threshold}
        if self.doubtful is not None:
            outcome["doubtful"] = bool(self.is_doubtful(np.asarray(score)))
        return outcome


@dataclass(frozen=True)
class Decisions:
    """All decisions of a model.

    Attributes:
        temperatures: Head to the temperature that divides its logits; the logits of other heads stay as they are.
        binary: Binary decisions, in the order of the heads; ``questions`` in JSON.
        facts: The data that they were chosen on: split, records, digests, metrics before and after; plain JSON types.
        sets: Sets of classes, at most one for each head.
    """

    temperatures: Mapping[str, float] = field(default_factory=dict)
    binary: tuple[Decision, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    sets: tuple[ClassSet, ...] = ()

    def of(self, head: str) -> list[Decision]:
        """The binary decisions of one head."""
        return [decision for decision in self.binary if decision.head == head]

    def outputs_of(self, head: str) -> set[str]:
        """Names of the outputs that the decisions and the set of one head use."""
        class_set = self.set_of(head)
        return {decision.output for decision in self.of(head)} | ({class_set.output} if class_set else set())

    def set_of(self, head: str) -> ClassSet | None:
        """The set of classes of one head; None if it has none."""
        return next((class_set for class_set in self.sets if class_set.head == head), None)

    def columns(self, values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Columns of one picture: one for each binary decision, and one for each class of a set.

        Args:
            values: Output name to its columns; decisions on other outputs are left out.
        """
        decided = {
            decision.column: float(decision.score(values[decision.output]) >= decision.threshold)
            for decision in self.binary
            if decision.output in values
        }
        sets = [class_set.columns(values[class_set.output]) for class_set in self.sets if class_set.output in values]
        return decided | {column: number for columns in sets for column, number in columns.items()}

    def outcomes(self, head: str, values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        """Outcomes of the decisions of one head for one picture, in plain JSON types.

        Args:
            head: Name of the head.
            values: As for :meth:`columns`.

        Returns:
            ``decision``, name to outcome, and ``set``, each only if the head has one.
        """
        outcomes: dict[str, Any] = {}
        decisions = [decision for decision in self.of(head) if decision.output in values]
        if decisions:
            outcomes["decision"] = {one.name: one.outcome(values[one.output]) for one in decisions}
        class_set = self.set_of(head)
        if class_set is not None and class_set.output in values:
            outcomes["set"] = class_set.outcome(values[class_set.output])
        return outcomes

    def to_json(self) -> dict[str, Any]:
        """Everything, in plain JSON types."""
        questions = [
            {**asdict(decision), "positive": list(decision.positive), "doubtful": _pair(decision.doubtful)}
            for decision in self.binary
        ]
        return {
            "schema": SCHEMA,
            "temperatures": dict(self.temperatures),
            "questions": questions,
            "sets": [class_set.to_json() for class_set in self.sets],
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, document: Any) -> "Decisions":
        """Read :meth:`to_json`.

        Raises:
            BundleError: The document has another schema, or a value does not fit.
        """
        hint = "choose them again with dermtl calibrate"
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
