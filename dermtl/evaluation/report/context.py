"""What every section of a report is written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from dermtl.evaluation.evaluate import Evaluation
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.model_card.fields import CardFields
from dermtl.evaluation.predict.probabilities import Probabilities, read_probabilities
from dermtl.evaluation.report.explained import Explained
from dermtl.kinds import Record


@dataclass(frozen=True)
class Context:
    """An evaluation and what it was made of.

    Attributes:
        evaluation: The figures.
        subject: What was evaluated; predicts the pictures that are shown.
        records: What it was evaluated on, in the order of the evaluation's rows.
        facts: What only people know.
        explained: Head to pictures with what its answers depend on, where that was asked for.
    """

    evaluation: Evaluation
    subject: EvaluationTarget
    records: Sequence[Record]
    facts: CardFields
    explained: Mapping[str, Explained] = field(default_factory=dict)

    @cached_property
    def probabilities(self) -> Mapping[str, Probabilities]:
        """Head to probabilities, of the heads that rank classes or labels."""
        return read_probabilities(self.evaluation.rows, self.subject.plans)
