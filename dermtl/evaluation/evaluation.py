"""The result of an evaluation, and its files: metrics.json, predictions.csv and measures.npz."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dermtl.evaluation.predict.files import write_predictions
from dermtl.evaluation.predict.predictions import Predictions
from dermtl.evaluation.readers.table import ReaderStudyResult
from dermtl.files.atomic import write_atomic


@dataclass(frozen=True)
class Evaluation:
    """What the predictions of a model are worth.

    Attributes:
        predictions: What was predicted, with heads and frozen decisions.
        heads: Head to :func:`dermtl.evaluation.metrics.head_metrics.head_metrics`.
        primary: Head to its primary metric.
        data: Number of records and groups, the split, and ``flow``, who was left out:
            :mod:`dermtl.evaluation.audit.participant_flow`.
        model: What was evaluated.
        decisions: Head to decision to what its frozen threshold does:
            :mod:`dermtl.evaluation.decisions.operating_point`.
        calibration: Head to :func:`dermtl.evaluation.metrics.calibration.calibration_metrics`.
        subgroups: Column to :func:`dermtl.evaluation.slices.subgroups.subgroup_metrics`.
        units: What :func:`dermtl.evaluation.slices.units.unit_report` gives.
        readers: Clinicians beside the model, where a table of their decisions was given.
    """

    predictions: Predictions
    heads: Mapping[str, Mapping[str, Mapping[str, Any]]]
    primary: Mapping[str, str]
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    decisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calibration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    subgroups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    units: Mapping[str, Any] = field(default_factory=dict)
    readers: ReaderStudyResult | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return {
            "heads": self.heads,
            "primary": self.primary,
            "decisions": self.decisions,
            "calibration": self.calibration,
            "subgroups": self.subgroups,
            "units": self.units,
            "settled": self.predictions.decisions.to_json(),
            "readers": self.readers.to_json() if self.readers else {},
            "data": self.data,
            "model": self.model,
            "plans": {name: plan.metadata() for name, plan in self.predictions.plans.items()},
        }

    def write(self, folder: Path) -> None:
        """Write metrics.json, predictions.csv and measures.npz into a folder."""
        write_atomic(folder / "metrics.json", json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n")
        write_predictions(folder, self.predictions)
