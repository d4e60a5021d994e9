"""Scoring a predictor on records: figures with intervals, and one row a record. Thresholds come in frozen."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.errors import DataError
from dermtl.evaluation.audit.participant_flow import participant_flow
from dermtl.evaluation.decisions.operating_point import PREVALENCES, operating_point_metrics
from dermtl.evaluation.metrics.calibration import calibration_metrics
from dermtl.evaluation.metrics.head_metrics import head_metrics
from dermtl.evaluation.predict.measures import Measured, write_measures
from dermtl.evaluation.predict.predict import Predicted, predict_rows
from dermtl.evaluation.predict.predictor import Predictor
from dermtl.evaluation.predict.probabilities import read_probabilities
from dermtl.evaluation.readers.table import Readings, Studied
from dermtl.evaluation.slices.subgroups import By, subgroup_metrics
from dermtl.evaluation.slices.units import unit_column, unit_report
from dermtl.files.atomic import write_atomic
from dermtl.files.table import write_table
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decisions


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        heads: Head to :func:`dermtl.evaluation.metrics.head_metrics.head_metrics`.
        primary: Head to the metric that stands for it.
        data: How many records and groups, which split, and ``flow``: who was left out;
            :mod:`dermtl.evaluation.audit.participant_flow`.
        model: What was evaluated.
        rows: One a record: image, group, then one number a column; ``<head>.decision.<question>``, 1 positive,
            0 not; ``<head>.truth.<column>`` where there is a truth.
        plans: Head to plugin and config, for :func:`dermtl.plugins.plan.replan_heads`.
        measures: What the heads' metrics measured.
        decisions: Head to question to what its frozen threshold does; see
            :mod:`dermtl.evaluation.decisions.operating_point`.
        calibration: Head to :func:`dermtl.evaluation.metrics.calibration.calibration_metrics`.
        subgroups: Column to :func:`dermtl.evaluation.slices.subgroups.subgroup_metrics`.
        units: What :func:`dermtl.evaluation.slices.units.unit_report` gives.
        settled: What was settled on validation.
        readers: Clinicians beside the model, where a table of their decisions was given.
    """

    heads: Mapping[str, Mapping[str, Mapping[str, Any]]]
    primary: Mapping[str, str]
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    plans: Mapping[str, Mapping[str, Any]]
    measures: Mapping[str, Measured]
    decisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calibration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    subgroups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    units: Mapping[str, Any] = field(default_factory=dict)
    settled: Decisions = field(default_factory=Decisions)
    readers: Studied | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return {
            "heads": self.heads,
            "primary": self.primary,
            "decisions": self.decisions,
            "calibration": self.calibration,
            "subgroups": self.subgroups,
            "units": self.units,
            "settled": self.settled.to_json(),
            "readers": self.readers.to_json() if self.readers else {},
            "data": self.data,
            "model": self.model,
            "plans": self.plans,
        }

    def write(self, folder: Path) -> None:
        """Write metrics.json, predictions.csv and measures.npz into a folder."""
        write_atomic(folder / "metrics.json", json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n")
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        cells = ([row.get(column, "") for column in columns] for row in self.rows)
        write_table(folder / "predictions.csv", columns, cells)
        write_measures(folder / "measures.npz", self.measures)


def evaluate(
    predictor: Predictor,
    records: Sequence[Record],
    plans: Mapping[str, HeadPlan],
    *,
    table: Sequence[Record] | None = None,
    split: str = "",
    model: Mapping[str, Any] | None = None,
    leakage: Mapping[str, Any] | None = None,
    decisions: Decisions | None = None,
    by: Sequence[By] = (),
    unit: str | None = None,
    readers: Readings | None = None,
    prevalences: Sequence[float] = PREVALENCES,
    batch_size: int = 8,
    resamples: int = 2000,
) -> Evaluation:
    """Predict every record once and sum up.

    Args:
        predictor: A run or an exported model, its temperatures applied.
        records: With groups; annotations may be missing.
        plans: The heads to score.
        table: All records that there are, to account for those left out; None: these.
        split: Name of the split, for the report.
        model: What is evaluated, for the report.
        leakage: What the comparison with the training pictures gave, for the report; None where there was none.
        decisions: What was settled on validation; nothing is settled here.
        by: Columns to divide the records by.
        unit: Column of lesions or patients whose pictures are also taken together; None: ``lesion_id``, else groups.
        readers: What clinicians decided on some of these pictures.
        prevalences: At which predictive values are stated.
        batch_size: Pictures at a time.
        resamples: Of the bootstrap.

    Raises:
        DataError: There is no record, one cannot be read, or a column is missing.
    """
    if not records:
        raise DataError(f"no records to evaluate in split {split!r}", hint="choose another --split")
    settled = decisions or Decisions()
    for division in by:
        division.value(records[0])  # a column that is missing is said before anything is predicted, as below
    unit_column(records, unit)
    return sum_up(
        predict_rows(predictor, records, plans, settled, batch_size=batch_size),
        records,
        plans,
        table=table,
        split=split,
        model=model,
        leakage=leakage,
        decisions=settled,
        by=by,
        unit=unit,
        readers=readers,
        prevalences=prevalences,
        resamples=resamples,
    )


def sum_up(
    predicted: Predicted,
    records: Sequence[Record],
    plans: Mapping[str, HeadPlan],
    *,
    table: Sequence[Record] | None = None,
    split: str = "",
    model: Mapping[str, Any] | None = None,
    leakage: Mapping[str, Any] | None = None,
    decisions: Decisions | None = None,
    by: Sequence[By] = (),
    unit: str | None = None,
    readers: Readings | None = None,
    prevalences: Sequence[float] = PREVALENCES,
    resamples: int = 2000,
) -> Evaluation:
    """Figures of records that were predicted; arguments as of :func:`evaluate`."""
    scores, rows, settled = predicted.scores, predicted.rows, decisions or Decisions()
    found = read_probabilities(rows, plans)
    metrics = {name: plan.metrics() for name, plan in plans.items()}
    measures = {name: Measured(np.array(scores.indices(name), np.int64), scores.table(name)) for name in plans}
    data: dict[str, Any] = {"split": split, "records": len(records), "groups": len({r.group for r in records})}
    if leakage is not None:
        data["leakage"] = leakage
    groups = [record.group for record in records]
    own = {name: [groups[index] for index in ranked.indices] for name, ranked in found.items()}
    return Evaluation(
        heads={
            name: head_metrics(
                name, scores, groups, found.get(name), trivial=predicted.baselines(name), resamples=resamples
            )
            for name in plans
        },
        primary={name: scores.primary(name) for name in plans},
        data={
            **data,
            "annotated": {name: len(scores.indices(name)) for name in plans},
            "flow": participant_flow(records if table is None else table, records, plans, measures),
        },
        model=dict(model or {}),
        rows=rows,
        plans={name: plan.metadata() for name, plan in plans.items()},
        measures=measures,
        decisions={
            name: {
                decision.name: operating_point_metrics(
                    decision, ranked, own[name], prevalences=prevalences, resamples=resamples
                )
                for decision in settled.of(name)
            }
            for name, ranked in found.items()
        },
        calibration={
            name: calibration_metrics(ranked, settled, own[name], resamples=resamples) for name, ranked in found.items()
        },
        subgroups={
            division.name: subgroup_metrics(
                division, records, metrics, measures, found, settled.questions, resamples=resamples
            )
            for division in by
        },
        units=unit_report(records, metrics, found, settled.questions, column=unit, resamples=resamples),
        settled=settled,
        readers=readers.studied(rows, resamples=resamples) if readers else None,
    )
