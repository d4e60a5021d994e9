"""The keys of ``type: classification``. Knows no torch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from dermtl.api import AnnotationError, Category, HeadConfig, Kind, Record


class ClassificationConfig(HeadConfig):
    """One of K classes from the pooled features."""

    column: str = Field("label", description="Manifest column with the class's name.")
    classes: tuple[str, ...] | None = Field(
        None,
        min_length=2,
        description="Names in the order of the outputs; null: the sorted names of the training records.",
    )
    dropout: float = Field(0.2, ge=0, lt=1)
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="focal: cross-entropy that counts rows less the better they are recognised."
    )
    focal_gamma: float = Field(2.0, ge=0, description="How much less; only for loss: focal; 0 is cross-entropy.")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["auto"] | dict[str, PositiveFloat] | None = Field(
        None,
        description="Weight of a class in the loss, 1 where it is not named; auto: inverse frequency, 1 on average.",
    )
    deployment_prior: dict[str, PositiveFloat] | None = Field(
        None,
        description="Share of each class where the model will be used; probabilities are corrected for it.",
    )
    training_prior: dict[str, PositiveFloat] | None = Field(
        None,
        description="Share of each class as training weighted it; null: counted from the training records.",
    )

    @model_validator(mode="after")
    def _names(self) -> Self:
        if self.classes is not None:
            if len(set(self.classes)) < len(self.classes):
                raise ValueError("a class is listed twice")
            if unknown := self._unknown(self.classes):
                raise ValueError(f"class_weights names {unknown}, which is not a class")
            for prior in (self.deployment_prior, self.training_prior):
                if prior is not None and set(prior) != set(self.classes):
                    raise ValueError(f"a prior needs a share of every class: {', '.join(self.classes)}")
        return self

    def target(self) -> Kind:
        """The class's index; without classes until they are listed or :meth:`fitted`."""
        return Category(self.classes or (), self.column)

    def outputs(self) -> dict[str, Kind]:
        """``probability``: one a class."""
        return {"probability": self.target()}

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with the classes and weights that the training records tell.

        Raises:
            AnnotationError: Fewer than two classes occur, or a weight is for a class that does not.
        """
        settled = self.deployment_prior is None or self.training_prior is not None
        if self.classes is not None and self.class_weights != "auto" and settled:
            return self
        counts = Counter(label for record in records if (label := record.text(self.column)) is not None)
        classes = self.classes or tuple(sorted(counts))
        if len(classes) < 2:
            raise AnnotationError(
                f"column {self.column!r}: expected two or more classes among {len(records)} training records, "
                f"got {', '.join(classes) or 'none'}",
                hint="check the head's column, or list its classes",
            )
        if unknown := self._unknown(classes):
            raise AnnotationError(
                f"column {self.column!r}: class_weights names {unknown!r}, which no training record has",
                hint=f"the classes are {', '.join(classes)}",
            )
        weights = _inverse_frequency({name: counts[name] for name in classes if counts[name]})
        update: dict[str, object] = {"class_weights": weights} if self.class_weights == "auto" else {}
        if not settled:
            self._check_prior(classes, counts)
            used = weights if self.class_weights == "auto" else self.class_weights or {}
            update["training_prior"] = {name: counts[name] * used.get(name, 1.0) for name in classes}
        return self.model_copy(update={"classes": classes, **update})

    def _check_prior(self, classes: Sequence[str], counts: Mapping[str, int]) -> None:
        """A prior can be corrected only for classes that are there, all of them."""
        named = self.deployment_prior or {}
        if odd := sorted(set(named) ^ set(classes)):
            raise AnnotationError(
                f"deployment_prior needs a share of every class and of no other, {odd[0]!r} is amiss",
                hint=f"the classes are {', '.join(classes)}",
            )
        if absent := [name for name in classes if not counts[name]]:
            raise AnnotationError(
                f"no training record has class {absent[0]!r}, so its prior in training is unknown",
                hint="give training_prior, or leave deployment_prior out",
            )

    def _unknown(self, classes: Sequence[str]) -> str:
        """A class that has a weight but is not among ``classes``, or empty text."""
        named = self.class_weights if isinstance(self.class_weights, dict) else {}
        return next((name for name in named if name not in classes), "")


def _inverse_frequency(counts: dict[str, int]) -> dict[str, float]:
    """Weights in proportion to 1 / count, with mean 1 over the classes that occur."""
    total = sum(1 / count for count in counts.values())
    return {name: len(counts) / (count * total) for name, count in counts.items()}
