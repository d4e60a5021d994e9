"""The gate: whether a model of lower precision may replace the exact one, by its metrics on records and its gain.

No head may lose more than half a point of its primary metric, and no frozen decision more than a point of sensitivity.
An int8 file must be faster by a fifth on this machine; a float16 file must be no larger than 0.6 of the exact one.
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dermtl.errors import BundleError, DataError
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.metrics.record_scores import summarise
from dermtl.evaluation.predict.predict import predict
from dermtl.evaluation.predict.predictor import ModelPredictor
from dermtl.kinds import Record
from dermtl.runtime.predictor import Model, Square
from dermtl.statistics.spread import spread

MAX_METRIC_DROP = 0.005
MAX_SENSITIVITY_DROP = 0.01
MIN_SPEEDUP = 1.2
MAX_SIZE_RATIO = 0.6
_ROUNDING = 1e-9
_NUM_TRAINING = 256  # training records on which a candidate is tried before the validation records
_log = logging.getLogger(__name__)

Metrics = dict[str, tuple[float, float]]
"""``<head> <metric>`` or ``<head> <decision> sensitivity`` to its value and how much lower it may become."""


@dataclass(frozen=True)
class MetricDrop:
    """A metric of the exact model and of another one.

    Attributes:
        metric: ``<head> <metric>``, or ``<head> <decision> sensitivity``.
        before: Value of the exact model.
        after: Value of the other model.
        limit: How much lower the other value may be.
    """

    metric: str
    before: float
    after: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the drop is within the limit; false if a value is not a number."""
        return self.before - self.after <= self.limit + _ROUNDING


@dataclass(frozen=True)
class Attempt:
    """A model of lower precision and how it compares with the exact one.

    Attributes:
        precision: ``fp16`` or ``int8``.
        recipe: How its ranges were chosen, and how many layers are in 8 bits.
        speedup: CPU time of the exact model over its own, on one thread.
        size_ratio: Size of its file over that of the exact one.
        split: Split that the drops were measured on: ``val``; ``train`` if those were too large already; empty if it
            gains too little to be measured.
        drops: Metrics on the records of this split, before and after.
        passed: Whether it may replace the exact model.
    """

    precision: str
    recipe: str
    speedup: float
    size_ratio: float
    split: str
    drops: tuple[MetricDrop, ...]
    passed: bool


class Gate:
    """Compares models of lower precision with the exact one.

    Args:
        exact: The float32 model, on one thread.
        precision: ``fp16`` or ``int8``.
        target: The run's heads and decisions.
        splits: Records of ``train`` and ``val``.

    Raises:
        DataError: The primary metric of a head cannot be estimated on the validation records.
    """

    def __init__(
        self, exact: Model, precision: str, target: EvaluationTarget, splits: Mapping[str, Sequence[Record]]
    ) -> None:
        self._exact = exact
        self._precision = precision
        self._target = target
        self._splits = {"train": spread(splits["train"], _NUM_TRAINING), "val": splits["val"]}
        self._squares = [exact.prepare(record.path) for record in spread(splits["val"], 8)]
        self._before = {split: measure(exact, target, records) for split, records in self._splits.items()}
        measured = {metric.partition(" ")[0] for metric in self._before["val"]}
        if missing := [head for head in target.plans if head not in measured]:
            raise DataError(
                f"the primary metric of {', '.join(missing)} cannot be estimated on the {len(splits['val'])} "
                f"validation records, so what {precision} costs there is unknown",
                hint="--precision fp32 needs no records",
            )

    def attempt(self, other: Model, recipe: str, size_ratio: float) -> Attempt:
        """Compare another model: its gain, then its metrics on training records, then on validation records.

        The first of these that fails ends the comparison.
        """
        gain = speedup(self._exact, other, self._squares)
        passed = size_ratio <= MAX_SIZE_RATIO if self._precision == "fp16" else gain >= MIN_SPEEDUP
        last, drops = "", tuple[MetricDrop, ...]()
        for split, records in self._splits.items():
            if passed:
                last, drops = split, tuple(metric_drops(self._before[split], self._measure(other, recipe, records)))
                passed = all(drop.ok for drop in drops)
        return Attempt(self._precision, recipe, gain, size_ratio, last, drops, passed)

    def _measure(self, other: Model, recipe: str, records: Sequence[Record]) -> Metrics:
        """Metrics of another model; none, which fails the gate, if its outputs are not finite."""
        try:
            return measure(other, self._target, records)
        except BundleError as error:
            _log.warning("%s, %s: %s", self._precision, recipe, error.message)
            return {}


def measure(model: Model, target: EvaluationTarget, records: Sequence[Record]) -> Metrics:
    """The primary metric of each head and the sensitivity of each decision on records.

    What cannot be estimated on these records is left out.

    Args:
        model: The model.
        target: Heads and decisions.
        records: Records with annotations.

    Raises:
        BundleError: The model fails, or gives numbers that are not finite.
    """
    predictions = predict(EvaluationTarget(ModelPredictor(model), target.plans, records), records)
    metrics: Metrics = {}
    for head, plan in target.plans.items():
        of_head = plan.metrics()
        values = summarise(head, of_head, predictions.record_scores[head].table)
        if math.isfinite(value := values.get(of_head.primary, math.nan)):
            metrics[f"{head} {of_head.primary}"] = (value, MAX_METRIC_DROP)
    for decision in target.decisions.binary:
        if (of := predictions.probabilities.get(decision.head)) is not None and (
            truth := of.holds(decision.positive)
        ).any():
            share = float((of.score(decision.positive)[truth] >= decision.threshold).mean())
            metrics[f"{decision.head} {decision.name} sensitivity"] = (share, MAX_SENSITIVITY_DROP)
    return metrics


def metric_drops(before: Metrics, after: Metrics) -> list[MetricDrop]:
    """The metrics of two models side by side; one that the other model lacks is NaN, and so beyond any limit."""
    missing = (math.nan, 0.0)
    return [
        MetricDrop(metric, value, after.get(metric, missing)[0], limit) for metric, (value, limit) in before.items()
    ]


def speedup(exact: Model, other: Model, squares: Sequence[Square], *, rounds: int = 7) -> float:
    """CPU time of the exact model over that of the other: the median over rounds in which each ran once."""
    ratios = []
    for _ in range(rounds + 1):
        start = time.process_time()
        exact.run(squares)
        between = time.process_time()
        other.run(squares)
        ratios.append((between - start) / max(time.process_time() - between, 1e-9))
    return float(np.median(ratios[1:]))  # the first round lays out memory
