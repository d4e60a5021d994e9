"""What a head's distribution provides, apart from its torch module."""

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
    """The keys a head understands, beside the core's own ``type`` and ``loss_weight``.

    Subclasses add fields and define :meth:`target` and :meth:`outputs`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    @classmethod
    def example(cls) -> Self:
        """A config that fits the set that ``dermtl data synth`` draws; the conformance kit tries the head with it.

        Here one of defaults. A head with required keys says it itself; the set's columns are label, mask, cx, cy, r,
        diameter_mm, age and sex.
        """
        return cls()

    @classmethod
    def suggest(cls, columns: Mapping[str, Sequence[str]]) -> Mapping[str, Mapping[str, Any]]:
        """Heads of this type that a table can train, for ``dermtl train FOLDER``; none unless a subclass says so.

        Suggest only what a column is surely meant for: an age beside every picture is no target.

        Args:
            columns: Column to its cells that are not empty.

        Returns:
            Name of a head to its keys, without ``type``.
        """
        return {}

    @abstractmethod
    def target(self) -> Kind:
        """The kind of truth this head learns from."""

    @abstractmethod
    def outputs(self) -> dict[str, Kind]:
        """The kind of every output, in the order in which the head activates them."""

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with what only the training records can tell, such as class names or a mean.

        Called once before training; what it returns is stored with the run.

        Args:
            records: The training records, annotated or not.
        """
        return self

    def reads(self) -> tuple[str, ...]:
        """Names of other heads of the experiment whose outputs this head sees, as ``Features.outputs``."""
        return ()

    def connected(self, outputs: Mapping[str, Kind]) -> Self:
        """A copy with what the outputs of the heads that :meth:`reads` names tell.

        Called whenever an experiment or a model file is read, and only if :meth:`reads` names a head.

        Args:
            outputs: Full output name, ``<head>.<output>``, to kind.

        Raises:
            ValueError: They are not what this head needs; the message says what is.
        """
        return self

    def perfect_prediction(self, annotation: Array) -> Prediction:
        """The outputs of a head without error for an annotation or target."""
        return {name: kind.perfect_value(annotation) for name, kind in self.outputs().items()}

    def decisions(self) -> Sequence[DecisionRule]:
        """Binary decisions on the head's probabilities, whose thresholds are fitted on validation and then frozen.

        Only a head with a probability of every class or label of its truth can have some. Here one for each label of
        :class:`~dermtl.kinds.Tags`, by the default rule, and none for classes: nothing tells which are positive.
        """
        target = self.target()
        return [DecisionRule((label,)) for label in target.labels] if isinstance(target, Tags) else []

    def class_set_coverage(self) -> float | None:
        """Share of records whose set of classes is to hold the true one, above 0 and below 1; None: no sets.

        Only a head of classes can have sets; see :mod:`dermtl.statistics.conformal`.
        """
        return None

    def documents(self) -> Mapping[str, Any]:
        """What a run keeps of this head for people to read: file name to plain JSON types."""
        return {}

    def baselines(self, size_hw: tuple[int, int]) -> Mapping[str, Prediction]:
        """What trivial predictors, which never look at the picture, say of one; a model must beat them all.

        Args:
            size_hw: Height and width of the picture in pixels.

        Returns:
            Baseline's name to output name to value, source frame. None unless a subclass knows some.
        """
        return {}


class Metrics(Protocol):
    """How good predictions are, in two steps, so that masks need not be kept and intervals are cheap.

    A class called with the head's config. Both steps are NumPy and see the source frame only.

    Attributes:
        primary: Name of the metric that stands for the head, higher is better.
    """

    primary: ClassVar[str]

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record: output name to value in, a row of numbers (or small arrays of fixed shape) out.

        A bool says that the metric of its name is a share of the records, which has an interval of its own.
        """

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Many rows, stacked to [n, ...] a column, to one value a metric. NaN means not estimable, never zero."""


@runtime_checkable
class WeightedMetrics(Metrics, Protocol):
    """Metrics that prepare their rows once (sort them, say) instead of anew for every resample of an interval.

    Optional: the core resamples the rows of plain :class:`Metrics` by copying them.
    """

    def weighted(self, rows: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
        """Rows, as of :meth:`summarise`, to a function of weights, int [n], how often each row counts.

        With weights of 1 it gives what :meth:`summarise` gives. A metric that needs what a resample lacks, such as a
        mean over all classes where one was not drawn, is NaN there.
        """


class MetricsFactory(Protocol):
    """What the dotted name of a head's metrics resolves to."""

    def __call__(self, config: Any) -> Metrics:
        """Build the metrics of one configured head."""
