"""What every section of a report is written from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dermtl.arrays import Array
from dermtl.evaluation.evaluation import Evaluation
from dermtl.evaluation.model_card.fields import CardFields
from dermtl.evaluation.report.explained import Explained
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan


@dataclass(frozen=True)
class Context:
    """An evaluation and what it was made of.

    Attributes:
        evaluation: The metrics and the predictions.
        records: The evaluated records, in the order of the predictions.
        table: All records that there are.
        card: What only people know.
        history: The metrics.csv of the training, where there is one.
        predict: Records to full output name to value, for the pictures that are drawn; None where the model is not at
            hand: then no picture is drawn.
        explained: Head to pictures with what its answers depend on, where that was wanted.
    """

    evaluation: Evaluation
    records: Sequence[Record]
    table: Sequence[Record]
    card: CardFields = field(default_factory=CardFields)
    history: Path | None = None
    predict: Callable[[Sequence[Record]], Sequence[Mapping[str, Array]]] | None = None
    explained: Mapping[str, Explained] = field(default_factory=dict)

    @property
    def plans(self) -> Mapping[str, HeadPlan]:
        """The heads."""
        return self.evaluation.predictions.plans
