"""Scoring a predictor on records: figures with intervals, and one row a record."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.data.atomic import write_atomic
from dermtl.data.table import write_table
from dermtl.errors import DataError
from dermtl.evaluation.measures import Measured, write_measures
from dermtl.evaluation.predictor import Predictor
from dermtl.evaluation.scoring import Scores
from dermtl.evaluation.statistics.bootstrap import bootstrap
from dermtl.imaging.affine import Array
from dermtl.imaging.decode import read_image_for
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        heads: Head to metric to value, low, high, n, redrawn, and ``baselines``, trivial predictor to value, if any.
        primary: Head to the metric that stands for it.
        data: How many records and groups, and which split.
        model: What was evaluated.
        rows: One a record: image, group, then one number a column; ``<head>.truth.<column>`` where there is a truth.
        plans: Head to plugin and config, for :func:`dermtl.plugins.plan.replan_heads`.
        measures: What the heads' metrics measured.
    """

    heads: Mapping[str, Mapping[str, Mapping[str, Any]]]
    primary: Mapping[str, str]
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    plans: Mapping[str, Mapping[str, Any]]
    measures: Mapping[str, Measured]

    def write(self, folder: Path) -> None:
        """Write metrics.json, predictions.csv and measures.npz into a folder."""
        document = {
            "heads": self.heads,
            "primary": self.primary,
            "data": self.data,
            "model": self.model,
            "plans": self.plans,
        }
        write_atomic(folder / "metrics.json", json.dumps(document, indent=2, allow_nan=False) + "\n")
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        cells = ([row.get(column, "") for column in columns] for row in self.rows)
        write_table(folder / "predictions.csv", columns, cells)
        write_measures(folder / "measures.npz", self.measures)


def evaluate(
    predictor: Predictor,
    records: Sequence[Record],
    plans: Mapping[str, HeadPlan],
    *,
    split: str = "",
    model: Mapping[str, Any] | None = None,
    leakage: Mapping[str, Any] | None = None,
    batch_size: int = 8,
    resamples: int = 2000,
) -> Evaluation:
    """Predict every record once and sum up.

    Args:
        predictor: A run or an exported model.
        records: With groups; annotations may be missing.
        plans: The heads to score.
        split: Name of the split, for the report.
        model: What is evaluated, for the report.
        leakage: What the comparison with the training pictures gave, for the report; None where there was none.
        batch_size: Pictures at a time.
        resamples: Of the bootstrap.

    Raises:
        DataError: There is no record, or one cannot be read.
    """
    if not records:
        raise DataError(f"no records to evaluate in split {split!r}", hint="choose another --split")
    kinds = {name: kind for plan in plans.values() for name, kind in plan.outputs.items()}
    targets = {name: plan.target for name, plan in plans.items()}
    scores, trivial = Scores(plans), {name: _Baselines(plan) for name, plan in plans.items()}
    rows: list[dict[str, Any]] = []
    for record, values in _predict(predictor, records, batch_size):
        annotations: dict[str, Array] = {}
        for name, kind in targets.items():
            if (annotation := kind.read(record)) is not None:
                annotations[name] = annotation
                trivial[name].add(record, annotation)
        scores.add(len(rows), values, annotations)
        numbers = {
            f"{output}.{column}": number
            for output, kind in kinds.items()
            for column, number in kind.columns(values[output]).items()
        }
        truths = {
            f"{name}.truth.{column}": number
            for name, annotation in annotations.items()
            for column, number in targets[name].truth_columns(annotation).items()
        }
        rows.append({"image": record.image, "group": record.group, **numbers, **truths})
    data: dict[str, Any] = {"split": split, "records": len(records), "groups": len({r.group for r in records})}
    if leakage is not None:
        data["leakage"] = leakage
    return Evaluation(
        {name: _figures(name, scores, records, resamples, trivial[name].summary()) for name in plans},
        {name: scores.primary(name) for name in plans},
        data | {"annotated": {name: len(scores.indices(name)) for name in plans}},
        dict(model or {}),
        rows,
        {name: plan.metadata() for name, plan in plans.items()},
        {name: Measured(np.array(scores.indices(name), np.int64), scores.table(name)) for name in plans},
    )


def _predict(
    predictor: Predictor, records: Sequence[Record], batch_size: int
) -> Iterator[tuple[Record, Mapping[str, Array]]]:
    """Records with their values in order; the next batch is decoded while this one is predicted."""
    with ThreadPoolExecutor(2) as threads:
        batches = [records[start : start + batch_size] for start in range(0, len(records), batch_size)]
        waiting = [threads.submit(read_image_for, record.path, predictor.size) for record in batches[0]]
        for position, batch in enumerate(batches):
            images = [future.result() for future in waiting]
            following = batches[position + 1] if position + 1 < len(batches) else ()
            waiting = [threads.submit(read_image_for, record.path, predictor.size) for record in following]
            yield from zip(batch, predictor.predict_values(images), strict=True)


def _figures(
    head: str,
    scores: Scores,
    records: Sequence[Record],
    resamples: int,
    trivial: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, Any]]:
    """Metric to value, interval, number of records, resamples redrawn, baselines; None is not estimable."""
    indices = scores.indices(head)
    if not indices:
        return {}
    intervals = bootstrap(scores.weighted(head), [records[index].group for index in indices], resamples=resamples)
    return {
        metric: {
            "value": _finite(value),
            "low": _finite(intervals[metric].low),
            "high": _finite(intervals[metric].high),
            "n": len(indices),
            "redrawn": intervals[metric].redrawn,
            **({"baselines": {name: _finite(found[metric]) for name, found in trivial.items()}} if trivial else {}),
        }
        for metric, value in scores.summary(head).items()
    }


class _Baselines:
    """Scores of the trivial predictors that a head knows."""

    def __init__(self, plan: HeadPlan) -> None:
        self._plan = plan
        self._scores: dict[str, Scores] = {}

    def add(self, record: Record, annotation: Array) -> None:
        name = self._plan.name
        for baseline, prediction in self._plan.config.baselines(record.size_hw).items():
            scores = self._scores.setdefault(baseline, Scores({name: self._plan}))
            scores.add(0, {f"{name}.{output}": value for output, value in prediction.items()}, {name: annotation})

    def summary(self) -> dict[str, dict[str, float]]:
        return {baseline: scores.summary(self._plan.name) for baseline, scores in self._scores.items()}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
