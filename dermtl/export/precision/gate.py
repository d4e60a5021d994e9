"""Whether a smaller model may stand for the exact one: what it loses on records, and what it gains in time.

The gate: no head loses more than half a point of its main metric, no frozen decision more than a point of sensitivity,
and the file is faster by a fifth on this machine, or, where it is only meant to be smaller, no larger than 0.6 of it.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.metrics.record_scores import RecordScores
from dermtl.evaluation.predict.probabilities import read_probabilities
from dermtl.files.prefetch import batched
from dermtl.kinds import Record
from dermtl.runtime.predictor import BATCH_SIZE, Model, Square

LOSS = 0.005
SENSITIVITY_LOSS = 0.01
FASTER = 1.2
SMALLER = 0.6
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Loss:
    """One figure before and after.

    Attributes:
        what: ``<head> <metric>``, or ``<head> <decision> sensitivity``.
        before: Of the exact model.
        after: Of the other.
        limit: How much lower it may be.
    """

    what: str
    before: float
    after: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether it is within the limit, which what is not a number never is."""
        return self.before - self.after <= self.limit + _ROUNDING


def score(model: Model, subject: EvaluationTarget, records: Sequence[Record]) -> dict[str, tuple[float, float]]:
    """Each head's main metric and each decision's sensitivity on records, with how much lower it may be.

    What cannot be estimated on these records is left out.

    Args:
        model: The model.
        subject: Heads and decisions.
        records: With annotations.

    Raises:
        BundleError: The model fails, or gives numbers that are not finite.
    """
    plans = subject.plans
    scores, rows = RecordScores(plans), list[dict[str, Any]]()
    for batch in batched(records, BATCH_SIZE):
        predictions = model.predict_batch([record.path for record in batch])
        for record, prediction in zip(batch, predictions, strict=True):
            found = {name: plan.target.read(record) for name, plan in plans.items()}
            truths = {name: annotation for name, annotation in found.items() if annotation is not None}
            scores.add(len(rows), prediction.values, truths)
            row: dict[str, Any] = dict(prediction.columns())
            for name, annotation in truths.items():
                columns = plans[name].target.truth_columns(annotation)
                row |= {f"{name}.truth.{column}": value for column, value in columns.items()}
            rows.append(row)
    figures = {}
    for head in plans:
        value = scores.summary(head).get(scores.primary(head), math.nan)
        if math.isfinite(value):
            figures[f"{head} {scores.primary(head)}"] = (value, LOSS)
    probabilities = read_probabilities(rows, plans)
    for decision in subject.decisions.questions:
        if (of := probabilities.get(decision.head)) is not None and (truth := of.holds(decision.positive)).any():
            share = float((of.score(decision.positive)[truth] >= decision.threshold).mean())
            figures[f"{decision.head} {decision.name} sensitivity"] = (share, SENSITIVITY_LOSS)
    return figures


def losses(before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]) -> list[Loss]:
    """Both scores side by side; a figure that the other model has not is not a number, and so beyond any limit."""
    missing = (math.nan, 0.0)
    return [Loss(what, value, after.get(what, missing)[0], limit) for what, (value, limit) in before.items()]


def speedup(exact: Model, other: Model, squares: Sequence[Square], *, rounds: int = 7) -> float:
    """How much faster the other runs, in CPU time: the median over rounds in which each ran once."""
    ratios = []
    for _ in range(rounds + 1):
        start = time.process_time()
        exact.run(squares)
        between = time.process_time()
        other.run(squares)
        ratios.append((between - start) / max(time.process_time() - between, 1e-9))
    return float(np.median(ratios[1:]))  # the first round lays out memory
