"""The contract of a head, apart from its torch module: config and metrics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict

from dermtl.arrays import Array
from dermtl.kinds import Tags
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record
from dermtl.plugins.decision_rule import DecisionRule
from dermtl.plugins.spec import HeadSpec

__all__ = ["DecisionRule", "HeadConfig", "HeadSpec", "Measures", "Metrics", "Prediction", "WeightedMetrics"]

Prediction = Mapping[str, Array]
Measures = Mapping[str, float | Array]


class HeadConfig(BaseModel, ABC):
    """The keys of a head in an experiment, beside ``type`` and ``loss_weight``, which dermtl reads.

    Subclasses add fields and define :meth:`target` and :meth:`outputs`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    @classmethod
    def example(cls) -> Self:
        """A config for the data of ``dermtl data synth``, with which the conformance kit checks the head.

        By default the config without any key; heads with required keys override this. The columns of these data are
        label, mask, cx, cy, r, diameter_mm, age and sex.
        """
        return cls()

    @classmethod
    def suggest(cls, columns: Mapping[str, Sequence[str]]) -> Mapping[str, Mapping[str, Any]]:
        """Heads of this type that a table can train, for ``dermtl train FOLDER``; by default none.

        Suggest a head only for columns that are certainly targets: an age beside every picture is none.

        Args:
            columns: Column to its non-empty cells.

        Returns:
            Name of a head to its keys, without ``type``; every column that it reads is named among them.
        """
        return {}

    @abstractmethod
    def target(self) -> Kind:
        """The kind of annotation that the head learns from."""

    @abstractmethod
    def outputs(self) -> dict[str, Kind]:
        """The kind of every output, in the order in which the head activates them."""

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy completed from the training records, for example with names of classes or a mean.

        Called once before training; the returned config is stored with the run.

        Args:
            records: The training records, annotated or not.
        """
        return self

    def reads(self) -> tuple[str, ...]:
        """Names of other heads of the experiment whose outputs this head reads, as ``Features.outputs``."""
        return ()

    def connected(self, outputs: Mapping[str, Kind]) -> Self:
        """A copy completed from the kinds of the outputs that the head reads.

        Called whenever an experiment or a model file is read, and only if :meth:`reads` names a head.

        Args:
            outputs: Full output name, ``<head>.<output>``, to kind.

        Raises:
            ValueError: The head cannot use these outputs; the message says which it needs.
        """
        return self

    def perfect_prediction(self, annotation: Array) -> Prediction:
        """The outputs of a head without error for an annotation or target."""
        return {name: kind.perfect_value(annotation) for name, kind in self.outputs().items()}

    def decisions(self) -> Sequence[DecisionRule]:
        """Binary decisions on the head's probabilities, whose thresholds are fitted on validation and then frozen.

        Only a head with a probability for every class or label of its annotations can have decisions. By default one
        for each label of :class:`~dermtl.kinds.Tags`, with the default rule, and none for classes, since it is unknown
        which of them are positive.
        """
        target = self.target()
        return [DecisionRule((label,)) for label in target.labels] if isinstance(target, Tags) else []

    def class_set_coverage(self) -> float | None:
        """Share of records, above 0 and below 1, whose set of classes should contain the true class; None for no sets.

        Only heads with classes can have sets; see :mod:`dermtl.statistics.conformal`.
        """
        return None

    def documents(self) -> Mapping[str, Any]:
        """Files about the head that a run stores for people: file name to plain JSON types."""
        return {}

    def baselines(self, size_hw: tuple[int, int]) -> Mapping[str, Prediction]:
        """Predictions of trivial predictors that ignore the picture; a model must be better than all of them.

        Args:
            size_hw: Height and width of the picture in pixels.

        Returns:
            Name of a baseline to output name to value in the source frame; by default empty.
        """
        return {}


class Metrics(Protocol):
    """The metrics of a head in two steps, so that masks need not be stored and intervals are cheap.

    A class that is called with the head's config. Both steps use NumPy, in the source frame. ``measure`` and
    ``summarise`` correspond to ``update`` and ``compute`` of torchmetrics.

    Attributes:
        primary: Name of the primary metric; higher is better.
    """

    primary: ClassVar[str]

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """Measure one record: a row of numbers, or of small arrays of fixed shape.

        A bool marks the metric of this name as a proportion of records, which gets a Wilson interval.

        Args:
            prediction: Output name to value.
            annotation: The annotation of the record.
        """

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Summarise rows to one value for each metric; NaN means not estimable, never zero.

        Args:
            rows: Column to the values of all rows, stacked to [n, ...].
        """


@runtime_checkable
class WeightedMetrics(Metrics, Protocol):
    """Metrics that prepare their rows once, for example by sorting, and not for every resample of an interval.

    Optional: for plain :class:`Metrics` rows are copied for every resample.
    """

    def weighted(self, rows: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
        """Prepare rows, as in :meth:`summarise`, for a function of weights, int [n]: how often each row counts.

        With weights of 1 it returns the values of :meth:`summarise`. A metric that cannot be estimated on a resample,
        such as a mean over all classes if one was not drawn, is NaN there.
        """
