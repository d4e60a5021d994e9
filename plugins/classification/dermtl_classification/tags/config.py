"""The keys of ``type: tags``. Knows no torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from dermtl.api import AnnotationError, DecisionRule, HeadConfig, Kind, Record, Tags
from dermtl_classification.rule import RULE


class TagsConfig(HeadConfig):
    """Independent labels from the pooled features."""

    labels: tuple[str, ...] = Field(min_length=1, description="Names of the labels, in the order of the outputs.")
    column: str = Field(
        "", description="Manifest column with the names of the labels that apply; empty: one 0/1 column per label."
    )
    separator: str = Field("|", min_length=1, description="Separator of the names in that column.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the features that are dropped while training.")
    rule: str = Field(
        "sensitivity>=0.95",
        pattern=RULE,
        description="How the threshold of each label is chosen on the validation records: sensitivity>=x, "
        "specificity>=x, youden, cost:ratio or fixed:t.",
    )
    lower_bound: bool = Field(
        False,
        description="Require the target of the rule of the lower limit of Wilson's interval, not of the share itself.",
    )
    pos_weight: Literal["auto"] | dict[str, PositiveFloat] | None = Field(
        None,
        description="Weights of labels' positives in the loss, 1 for others; auto: negatives / positives; null: none.",
    )

    @classmethod
    def suggest(cls, columns: Mapping[str, Sequence[str]]) -> Mapping[str, Mapping[str, Any]]:
        """A head for columns of 0 and 1, if there are several and no column ``label``."""
        labels = [column for column, cells in columns.items() if set(cells) == {"0", "1"}]
        return {"findings": {"labels": labels}} if len(labels) > 1 and "label" not in columns else {}

    @model_validator(mode="after")
    def _names(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("a label is listed twice")
        named = self.pos_weight if isinstance(self.pos_weight, dict) else {}
        if unknown := [name for name in named if name not in self.labels]:
            raise ValueError(f"pos_weight names {unknown[0]}, which is not a label")
        return self

    @classmethod
    def example(cls) -> Self:
        """The drawn set's sex, as two labels in one column."""
        return cls(labels=("female", "male"), column="sex")

    def target(self) -> Kind:
        """Which labels apply."""
        return Tags(self.labels, self.column, self.separator)

    def outputs(self) -> dict[str, Kind]:
        """``probability`` of each label."""
        return {"probability": self.target()}

    def decisions(self) -> Sequence[DecisionRule]:
        """One for each label, all by the same rule."""
        return [DecisionRule((label,), self.rule, self.lower_bound) for label in self.labels]

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with weights from the training records; a label that always or never applies gets none.

        Raises:
            AnnotationError: No training record is annotated, or one cannot be understood.
        """
        if self.pos_weight != "auto":
            return self
        kind = self.target()
        known = [annotation for record in records if (annotation := kind.read(record)) is not None]
        if not known:
            raise AnnotationError(f"none of {len(records)} training records has the labels {', '.join(self.labels)}")
        frequency = np.asarray(known, np.float64).mean(axis=0).tolist()
        weights = {n: (1 - f) / f for n, f in zip(self.labels, frequency, strict=True) if 0 < f < 1}
        return self.model_copy(update={"pos_weight": weights})
