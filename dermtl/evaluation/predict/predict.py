"""Every record predicted once, measured, and made a row of."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from dermtl.arrays import Array
from dermtl.evaluation.metrics.record_scores import RecordScores
from dermtl.evaluation.predict.predictor import Predictor
from dermtl.imaging.decode import read_image
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decisions


@dataclass(frozen=True)
class Predicted:
    """Records after they were predicted.

    Attributes:
        rows: As :class:`dermtl.evaluation.evaluate.Evaluation` has them.
        scores: What the heads' metrics measured.
        trivial: The same of the predictors that never look, by head.
    """

    rows: list[dict[str, Any]]
    scores: RecordScores
    trivial: Mapping[str, "Baselines"]

    def baselines(self, head: str) -> dict[str, dict[str, float]]:
        """Trivial predictor to metric to value."""
        return self.trivial[head].summary()


def predict_rows(
    predictor: Predictor,
    records: Sequence[Record],
    plans: Mapping[str, HeadPlan],
    settled: Decisions | None = None,
    *,
    batch_size: int = 8,
) -> Predicted:
    """Predict every record once and measure it; what is settled is applied.

    Raises:
        DataError: A record cannot be read.
    """
    kinds = {name: kind for plan in plans.values() for name, kind in plan.outputs.items()}
    targets = {name: plan.target for name, plan in plans.items()}
    scores, trivial = RecordScores(plans), {name: Baselines(plan) for name, plan in plans.items()}
    rows: list[dict[str, Any]] = []
    for record, values in _predict(predictor, records, batch_size):
        annotations: dict[str, Array] = {}
        for name, kind in targets.items():
            if (annotation := kind.read(record)) is not None:
                annotations[name] = annotation
                trivial[name].add(record, annotation)
        scores.add(len(rows), values, annotations)
        columns = {output: kind.columns(values[output]) for output, kind in kinds.items()}
        numbers = {f"{output}.{column}": number for output, own in columns.items() for column, number in own.items()}
        numbers |= (settled or Decisions()).columns(columns)
        truths = {
            f"{name}.truth.{column}": number
            for name, annotation in annotations.items()
            for column, number in targets[name].truth_columns(annotation).items()
        }
        rows.append({"image": record.image, "group": record.group, **numbers, **truths})
    return Predicted(rows, scores, trivial)


def _predict(
    predictor: Predictor, records: Sequence[Record], batch_size: int
) -> Iterator[tuple[Record, Mapping[str, Array]]]:
    """Records with their values in order; the next batch is decoded while this one is predicted."""
    with ThreadPoolExecutor(2) as threads:
        batches = [records[start : start + batch_size] for start in range(0, len(records), batch_size)]
        waiting = [threads.submit(read_image, record.path) for record in batches[0]]
        for position, batch in enumerate(batches):
            images = [future.result() for future in waiting]
            following = batches[position + 1] if position + 1 < len(batches) else ()
            waiting = [threads.submit(read_image, record.path) for record in following]
            yield from zip(batch, predictor.predict_values(images), strict=True)


def join(parts: Sequence[Predicted]) -> Predicted:
    """Records that were predicted apart, as one; the first part takes in the others."""
    whole = parts[0]
    for part in parts[1:]:
        whole.scores.extend(part.scores, len(whole.rows))
        whole.rows.extend(part.rows)
        for name, trivial in whole.trivial.items():
            trivial.extend(part.trivial[name])
    return whole


class Baselines:
    """Scores of the trivial predictors that a head knows."""

    def __init__(self, plan: HeadPlan) -> None:
        self._plan = plan
        self._scores: dict[str, RecordScores] = {}

    def add(self, record: Record, annotation: Array) -> None:
        """Measure what they say of one record against its truth."""
        name = self._plan.name
        for baseline, prediction in self._plan.config.baselines(record.size_hw).items():
            scores = self._scores.setdefault(baseline, RecordScores({name: self._plan}))
            scores.add(0, {f"{name}.{output}": value for output, value in prediction.items()}, {name: annotation})

    def extend(self, other: "Baselines") -> None:
        """Take in the scores of other records."""
        for baseline, scores in other._scores.items():
            self._scores.setdefault(baseline, RecordScores({self._plan.name: self._plan})).extend(scores, 0)

    def summary(self) -> dict[str, dict[str, float]]:
        """Trivial predictor to metric to value."""
        return {baseline: scores.summary(self._plan.name) for baseline, scores in self._scores.items()}
