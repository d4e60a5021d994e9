"""One answer for each lesion or patient instead of each picture: the mean or maximum of its pictures' probabilities."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.decisions.operating_point import threshold_metrics
from dermtl.evaluation.metrics.estimates import with_intervals
from dermtl.evaluation.metrics.record_scores import weighted
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.evaluation.slices.subgroups import need_column
from dermtl.kinds import Record
from dermtl.plugins.contract import Metrics
from dermtl.runtime.decision import Decision

WAYS = ("mean", "max")


def unit_column(records: Sequence[Record], wanted: str | None = None) -> str | None:
    """The column whose equal cells are one unit: the one that is named, else ``lesion_id`` where there is one.

    None stands for the records' groups.

    Raises:
        ManifestError: The table has no such column.
    """
    if wanted is not None:
        if records:
            need_column(records[0], wanted)
        return wanted
    return "lesion_id" if records and "lesion_id" in records[0].cells else None


def unit_names(records: Sequence[Record], column: str | None) -> list[str]:
    """The unit of every record; one with an empty cell is a unit of its own.

    Raises:
        AnnotationError: The table has no such column.
    """
    if column is None:
        return [record.group for record in records]
    return [record.text(column) or f"picture {record.image}" for record in records]


def unit_metrics(
    probabilities: Probabilities,
    units: Sequence[str],
    groups: Sequence[str],
    metrics: Metrics,
    decisions: Sequence[Decision],
    *,
    resamples: int = 2000,
) -> dict[str, Any]:
    """One head's metrics by unit.

    ``max`` takes the highest probability of every class, and divides by their sum where classes exclude one another;
    for a decision it takes the highest score.

    Args:
        probabilities: The head's probabilities.
        units: Unit of every record of ``probabilities``, [m].
        groups: Group of every record of ``probabilities``, [m].
        metrics: The head's metrics.
        decisions: Frozen decisions of the head.
        resamples: Number of bootstrap resamples.

    Returns:
        ``n`` units, ``several`` of them with more than one picture, ``mixed`` that were left out since their pictures
        have unlike truths; ``mean`` and ``max``, each with ``metrics`` and ``decisions``. Without these two where no
        unit has several pictures.
    """
    names, codes, counts = np.unique(np.asarray(units, str), return_inverse=True, return_counts=True)
    first = np.zeros(len(names), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    mixed = np.zeros(len(names), bool)
    np.logical_or.at(mixed, codes, (probabilities.truth != probabilities.truth[first[codes]]).any(axis=1))
    unmixed = ~mixed
    facts: dict[str, Any] = {
        "n": int(unmixed.sum()),
        "several": int((counts[unmixed] > 1).sum()),
        "mixed": int(mixed.sum()),
    }
    if not facts["several"]:
        return facts
    clusters = np.asarray(groups, str)[first[unmixed]].tolist()
    truth = probabilities.truth[first[unmixed]]
    annotations = truth.argmax(axis=1) if probabilities.exclusive else truth.astype(np.float32)
    output = probabilities.output.partition(".")[2]
    for way in WAYS:
        values = _gather(probabilities.values, codes, counts, way)[unmixed]
        if probabilities.exclusive:
            values = values / values.sum(axis=1, keepdims=True)
        rows = [
            metrics.measure({output: value}, annotation) for value, annotation in zip(values, annotations, strict=True)
        ]
        table = {column: np.stack([np.asarray(row[column]) for row in rows]) for column in rows[0]}
        statistic = weighted(metrics, table)
        figures = with_intervals(statistic, clusters, resamples=resamples)
        facts[way] = {
            "metrics": {name: {**figure, "n": len(rows)} for name, figure in figures.items()},
            "decisions": {},
        }
        for decision in decisions:
            scores = _gather(probabilities.score(decision.positive)[:, None], codes, counts, way)[unmixed, 0]
            predicted, holds = scores >= decision.threshold, probabilities.holds(decision.positive)[first[unmixed]]
            facts[way]["decisions"][decision.name] = threshold_metrics(
                predicted, holds, clusters, prevalences=(), resamples=resamples
            )["figures"]
    return facts


def _gather(values: Array, codes: Array, counts: Array, way: str) -> Array:
    """Rows of float [m, K] by unit, [u, K]."""
    if way == "mean":
        sums = np.zeros((len(counts), values.shape[1]))
        np.add.at(sums, codes, values)
        return np.asarray(sums / counts[:, None])
    highest = np.full((len(counts), values.shape[1]), -np.inf)
    np.maximum.at(highest, codes, values)
    return highest


def unit_report(
    records: Sequence[Record],
    metrics: Mapping[str, Metrics],
    probabilities: Mapping[str, Probabilities],
    decisions: Sequence[Decision],
    *,
    column: str | None = None,
    resamples: int = 2000,
) -> dict[str, Any]:
    """Every head by unit: ``column`` that says the unit (None: the groups) and ``heads``."""
    column = unit_column(records, column)
    units = np.asarray(unit_names(records, column), str)
    groups = np.asarray([record.group for record in records], str)
    heads = {
        head: unit_metrics(
            of_head,
            units[of_head.indices].tolist(),
            groups[of_head.indices].tolist(),
            metrics[head],
            [decision for decision in decisions if decision.head == head],
            resamples=resamples,
        )
        for head, of_head in probabilities.items()
    }
    return {"column": column, "heads": heads}
