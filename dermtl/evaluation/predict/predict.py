"""Every record predicted once and measured."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.predict.collector import Member, PredictionCollector
from dermtl.evaluation.predict.predictions import Predictions
from dermtl.evaluation.predict.predictor import Predictor
from dermtl.imaging.decode import read_image
from dermtl.kinds import Record


def predict(target: EvaluationTarget, records: Sequence[Record], *, batch_size: int = 8) -> Predictions:
    """Predict every record once and measure it; frozen decisions are applied.

    Args:
        target: What predicts; of a cross-validation, each record is answered by the fold that tested on it.
        records: With groups; truths may be missing.
        batch_size: Number of pictures at a time.

    Raises:
        DataError: There is no record, or one cannot be read.
    """
    if not records:
        raise DataError("no records to evaluate", hint="choose another --split")
    collector = PredictionCollector(target.plans, target.decisions)
    members: dict[int, Member] = {}
    for _, run in groupby(records, key=lambda record: id(target.answering(record))):
        together = list(run)
        answering = target.answering(together[0])
        member = members.setdefault(id(answering), Member(answering.plans, answering.decisions))
        for record, values in _predict(answering.predictor, together, batch_size):
            collector.add(record, values, member)
    return collector.predictions()


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
