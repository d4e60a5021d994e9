"""The keys of ``type: classification``. Knows no torch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from dermtl.api import AnnotationError, Category, DecisionRule, HeadConfig, Kind, Nodes, Record
from dermtl.taxonomy import roll_up
from dermtl_classification.category.taxonomy import TaxonomyConfig
from dermtl_classification.rule import RULE


class ClassificationConfig(HeadConfig):
    """One of K classes from the pooled features."""

    column: str = Field("label", description="Manifest column with the class's name.")
    classes: tuple[str, ...] | None = Field(
        None,
        min_length=2,
        description="Names in the order of the outputs; null: the sorted names of the training records.",
    )
    taxonomy: TaxonomyConfig | None = Field(None, description="A tree of diseases whose parts are the classes.")
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
    positive: tuple[str, ...] = Field(
        (), description="Classes that count as positive; their probabilities add up to the score that is decided on."
    )
    rule: str = Field(
        "sensitivity>=0.95",
        pattern=RULE,
        description="How the threshold is chosen on validation: sensitivity>=x, specificity>=x, youden, cost:ratio or "
        "fixed:t.",
    )
    lower_bound: bool = Field(False, description="Wilson's lower limit must meet the rule's target, not the share.")
    conformal: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of pictures whose set of classes is to hold the true one; null: no sets.",
    )
    deployment_prior: dict[str, PositiveFloat] | None = Field(
        None,
        description="Share of each class where the model will be used; probabilities are corrected for it.",
    )
    training_prior: dict[str, PositiveFloat] | None = Field(
        None,
        description="Share of each class as training weighted it; null: counted from the training records.",
    )

    @classmethod
    def suggest(cls, columns: Mapping[str, Sequence[str]]) -> Mapping[str, Mapping[str, Any]]:
        """A head for the column ``label`` if it holds several words, each of them at least twice on average."""
        cells = columns.get("label", ())
        return {"label": {"column": "label"}} if 2 <= len(set(cells)) <= len(cells) / 2 else {}

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
            self._check_positive(self.classes)
        if self.taxonomy is not None and self.classes != self.taxonomy.classes:
            raise ValueError("the classes come from the taxonomy: leave classes out")
        return self

    def _check_positive(self, classes: Sequence[str]) -> None:
        """Positives must be classes, and not all of them."""
        if odd := [name for name in self.positive if name not in classes]:
            raise ValueError(f"positive names {odd[0]}, which is not a class")
        named = set(self.positive)
        if len(named) < len(self.positive) or named == set(classes):
            raise ValueError("positive must name some of the classes, each once, and not all")

    def target(self) -> Kind:
        """The class's index; without classes until they are listed or :meth:`fitted`."""
        if self.taxonomy is not None and self.taxonomy.partition is not None:
            return self.taxonomy.target(self.column)
        return Category(self.classes or (), self.column)

    def outputs(self) -> dict[str, Kind]:
        """``probability``: one a class; with a taxonomy also ``node_probability``: one a node from the root to them."""
        classes = self.classes or ()
        outputs: dict[str, Kind] = {"probability": Category(classes, self.column)}
        if self.taxonomy is not None:
            outputs["node_probability"] = Nodes(roll_up(classes).names)
        return outputs

    def decisions(self) -> Sequence[DecisionRule]:
        """The positive classes against the rest; none where no class is named positive."""
        return [DecisionRule(self.positive, self.rule, self.lower_bound)] if self.positive else []

    def class_set_coverage(self) -> float | None:
        """The key ``conformal``."""
        return self.conformal

    def documents(self) -> Mapping[str, Any]:
        """``partition.json``, where a taxonomy was cut."""
        if self.taxonomy is None or self.taxonomy.partition is None:
            return {}
        return {"partition.json": self.taxonomy.document()}

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with the classes and weights that the training records tell.

        Raises:
            AnnotationError: Fewer than two classes occur, a weight is for a class that does not, or a cell is no node
                of the taxonomy.
        """
        if self.taxonomy is not None and self.taxonomy.partition is None:
            cut = self.taxonomy.cut(records, self.column)
            update = {"taxonomy": cut, "classes": cut.classes, "positive": cut.below(self.positive)}
            return self.model_copy(update=update)._weighed(records)
        if self.classes is not None and self.class_weights != "auto" and self._is_settled:
            return self
        return self._weighed(records)

    @property
    def _is_settled(self) -> bool:
        """Whether nothing more is to be learned of priors."""
        return self.deployment_prior is None or self.training_prior is not None

    def _weighed(self, records: Sequence[Record]) -> Self:
        """A copy with the classes, where they are not known yet, and with what their counts tell."""
        counts = self._counts(records)
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
        try:
            self._check_positive(classes)
        except ValueError as error:
            hint = f"the classes are {', '.join(classes)}"
            raise AnnotationError(f"column {self.column!r}: {error}", hint=hint) from error
        if not self._is_settled:
            self._check_prior(classes, counts)
            used = weights if self.class_weights == "auto" else self.class_weights or {}
            update["training_prior"] = {name: counts[name] * used.get(name, 1.0) for name in classes}
        return self.model_copy(update={"classes": classes, **update})

    def _counts(self, records: Sequence[Record]) -> Counter[str]:
        """Records of every class."""
        if self.taxonomy is None:
            return Counter(label for record in records if (label := record.text(self.column)) is not None)
        target, classes = self.target(), self.classes or ()
        return Counter(classes[int(index)] for record in records if (index := target.read(record)) is not None)

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
