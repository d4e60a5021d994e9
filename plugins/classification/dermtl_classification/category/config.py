"""The keys of ``type: classification``. Knows no torch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from dermtl.api import AnnotationError, Category, DecisionRule, HeadConfig, Kind, Nodes, Record
from dermtl.taxonomy import roll_up
from dermtl_classification.category.class_weights import inverse_frequency
from dermtl_classification.category.taxonomy import TaxonomyConfig
from dermtl_classification.rule import RULE


class ClassificationConfig(HeadConfig):
    """One of K classes from the pooled features."""

    column: str = Field("label", description="Manifest column with the name of the class.")
    classes: tuple[str, ...] | None = Field(
        None,
        min_length=2,
        description="Names in the order of the outputs; null: the sorted names of the training records.",
    )
    taxonomy: TaxonomyConfig | None = Field(None, description="Taxonomy of diseases from which the classes are cut.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the features that are dropped while training.")
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="focal: cross-entropy with lower weight for records that are recognised well."
    )
    focal_gamma: float = Field(
        2.0, ge=0, description="Focal loss: the loss of a record with probability p is scaled by (1 - p)^focal_gamma."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target that is spread over all classes.")
    class_weights: Literal["auto"] | dict[str, PositiveFloat] | None = Field(
        None,
        description="Weights of classes in the loss, 1 for others; auto: inverse frequency, 1 on average; null: none.",
    )
    positive: tuple[str, ...] = Field(
        (), description="Positive classes; the sum of their probabilities is compared with the threshold."
    )
    rule: str = Field(
        "sensitivity>=0.95",
        pattern=RULE,
        description="How the threshold is chosen on the validation records: sensitivity>=x, specificity>=x, youden, "
        "cost:ratio or fixed:t.",
    )
    lower_bound: bool = Field(
        False,
        description="Require the target of the rule of the lower limit of Wilson's interval, not of the share itself.",
    )
    conformal: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Coverage of conformal prediction sets: share of pictures whose set has the true class; null: off.",
    )
    deployment_prior: dict[str, PositiveFloat] | None = Field(
        None,
        description="Share of each class in use; probabilities are corrected for it. null: no correction.",
    )
    training_prior: dict[str, PositiveFloat] | None = Field(
        None,
        description="Weighted share of each class in training; null: counted from the training records.",
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
        """Check that the positive classes are some of the classes, but not all."""
        if odd := [name for name in self.positive if name not in classes]:
            raise ValueError(f"positive names {odd[0]}, which is not a class")
        named = set(self.positive)
        if len(named) < len(self.positive) or named == set(classes):
            raise ValueError("positive must name some of the classes, each once, and not all")

    def target(self) -> Kind:
        """Index of the class; without class names before :meth:`fitted`, unless they are listed."""
        if self.taxonomy is not None and self.taxonomy.partition is not None:
            return self.taxonomy.target(self.column)
        return Category(self.classes or (), self.column)

    def outputs(self) -> dict[str, Kind]:
        """``probability`` of each class; with a taxonomy also ``node_probability`` of each node above the classes."""
        classes = self.classes or ()
        outputs: dict[str, Kind] = {"probability": Category(classes, self.column)}
        if self.taxonomy is not None:
            outputs["node_probability"] = Nodes(roll_up(classes).names)
        return outputs

    def decisions(self) -> Sequence[DecisionRule]:
        """The positive classes against the rest, if there are any."""
        return [DecisionRule(self.positive, self.rule, self.lower_bound)] if self.positive else []

    def class_set_coverage(self) -> float | None:
        """The key ``conformal``."""
        return self.conformal

    def documents(self) -> Mapping[str, Any]:
        """``partition.json``, if there is a taxonomy."""
        if self.taxonomy is None or self.taxonomy.partition is None:
            return {}
        return {"partition.json": self.taxonomy.document()}

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with classes, weights and priors from the training records.

        Raises:
            AnnotationError: There are fewer than two classes, a weight names no class, or a cell is no node of the
                taxonomy.
        """
        if self.taxonomy is not None and self.taxonomy.partition is None:
            cut = self.taxonomy.cut(records, self.column)
            update = {"taxonomy": cut, "classes": cut.classes, "positive": cut.below(self.positive)}
            return self.model_copy(update=update)._counted(records)
        if self.classes is not None and self.class_weights != "auto" and self._knows_priors:
            return self
        return self._counted(records)

    @property
    def _knows_priors(self) -> bool:
        """Whether no prior has to be counted."""
        return self.deployment_prior is None or self.training_prior is not None

    def _counted(self, records: Sequence[Record]) -> Self:
        """A copy with classes, weights and priors, as far as they are not given, from the counts of the classes."""
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
        weights = inverse_frequency({name: counts[name] for name in classes if counts[name]})
        update: dict[str, object] = {"class_weights": weights} if self.class_weights == "auto" else {}
        try:
            self._check_positive(classes)
        except ValueError as error:
            hint = f"the classes are {', '.join(classes)}"
            raise AnnotationError(f"column {self.column!r}: {error}", hint=hint) from error
        if not self._knows_priors:
            self._check_prior(classes, counts)
            used = weights if self.class_weights == "auto" else self.class_weights or {}
            update["training_prior"] = {name: counts[name] * used.get(name, 1.0) for name in classes}
        return self.model_copy(update={"classes": classes, **update})

    def _counts(self, records: Sequence[Record]) -> Counter[str]:
        """Number of records of each class."""
        if self.taxonomy is None:
            return Counter(label for record in records if (label := record.text(self.column)) is not None)
        target, classes = self.target(), self.classes or ()
        return Counter(classes[int(index)] for record in records if (index := target.read(record)) is not None)

    def _check_prior(self, classes: Sequence[str], counts: Mapping[str, int]) -> None:
        """Check that the deployment prior names all classes, and that each has training records."""
        named = self.deployment_prior or {}
        if odd := sorted(set(named) ^ set(classes)):
            raise AnnotationError(
                f"deployment_prior needs a share of every class and of no other; check {odd[0]!r}",
                hint=f"the classes are {', '.join(classes)}",
            )
        if absent := [name for name in classes if not counts[name]]:
            raise AnnotationError(
                f"no training record has class {absent[0]!r}, so its prior in training is unknown",
                hint="give training_prior, or leave deployment_prior out",
            )

    def _unknown(self, classes: Sequence[str]) -> str:
        """A name in ``class_weights`` that is no class, or empty text."""
        named = self.class_weights if isinstance(self.class_weights, dict) else {}
        return next((name for name in named if name not in classes), "")
