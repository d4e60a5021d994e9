"""Scoring a predictor on records: figures with intervals, and one row a record."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermtl.data.atomic import write_atomic
from dermtl.data.table import write_table
from dermtl.errors import DataError
from dermtl.evaluation.intervals import bootstrap_intervals
from dermtl.evaluation.predictor import Predictor
from dermtl.evaluation.scoring import Scores
from dermtl.imaging.affine import Array
from dermtl.imaging.decode import read_image
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        heads: Head to metric to value, low, high, n.
        primary: Head to the metric that stands for it.
        data: How many records and groups, and which split.
        model: What was evaluated.
        rows: One a record: image, group, then one number a column.
    """

    heads: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    primary: Mapping[str, str]
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    def write(self, folder: Path) -> None:
        """Write metrics.json and predictions.csv into a folder."""
        document = {"heads": self.heads, "primary": self.primary, "data": self.data, "model": self.model}
        write_atomic(folder / "metrics.json", json.dumps(document, indent=2, allow_nan=False) + "\n")
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        cells = ([row.get(column, "") for column in columns] for row in self.rows)
        write_table(folder / "predictions.csv", columns, cells)


def evaluate(
    predictor: Predictor,
    records: Sequence[Record],
    plans: Mapping[str, HeadPlan],
    *,
    split: str = "",
    model: Mapping[str, Any] | None = None,
    batch_size: int = 8,
    resamples: int = 1000,
) -> Evaluation:
    """Predict every record once and sum up.

    Args:
        predictor: A run or an exported model.
        records: With groups; annotations may be missing.
        plans: The heads to score.
        split: Name of the split, for the report.
        model: What is evaluated, for the report.
        batch_size: Pictures at a time.
        resamples: Of the bootstrap.

    Raises:
        DataError: There is no record, or one cannot be read.
    """
    if not records:
        raise DataError(f"no records to evaluate in split {split!r}", hint="choose another --split")
    kinds = {name: kind for plan in plans.values() for name, kind in plan.outputs.items()}
    targets = {name: plan.target for name, plan in plans.items()}
    scores = Scores(plans)
    rows: list[dict[str, Any]] = []
    for record, values in _predict(predictor, records, batch_size):
        annotations: dict[str, Array] = {}
        for name, kind in targets.items():
            if (annotation := kind.read(record)) is not None:
                annotations[name] = annotation
        scores.add(len(rows), values, annotations)
        numbers = {
            f"{output}.{column}": number
            for output, kind in kinds.items()
            for column, number in kind.columns(values[output]).items()
        }
        rows.append({"image": record.image, "group": record.group, **numbers})
    data = {"split": split, "records": len(records), "groups": len({record.group for record in records})}
    return Evaluation(
        {name: _figures(name, scores, records, resamples) for name in plans},
        {name: scores.primary(name) for name in plans},
        data | {"annotated": {name: len(scores.indices(name)) for name in plans}},
        dict(model or {}),
        rows,
    )


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


def _figures(
    head: str, scores: Scores, records: Sequence[Record], resamples: int
) -> dict[str, dict[str, float | None]]:
    """Metric to value, interval and number of records; None is not estimable."""
    indices = scores.indices(head)
    if not indices:
        return {}
    summarise = scores.summariser(head)
    intervals = bootstrap_intervals(summarise, [records[index].group for index in indices], resamples=resamples)
    return {
        metric: {
            "value": _finite(value),
            "low": _finite(intervals[metric][0]),
            "high": _finite(intervals[metric][1]),
            "n": len(indices),
        }
        for metric, value in scores.summary(head).items()
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
