"""What is evaluated: a predictor, its heads and the records that it is tried on."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dermtl.arrays import Array
from dermtl.config.experiment import Data, Experiment
from dermtl.config.load import validate
from dermtl.config.source import read_stored
from dermtl.data.manifest.groups import group_records
from dermtl.data.manifest.read import SPLITS, read_manifest
from dermtl.data.manifest.split import read_splits
from dermtl.errors import InputError, ManifestError
from dermtl.evaluation.audit.leakage import Trained, trained_on
from dermtl.evaluation.predict.predictor import ModelPredictor, Predictor
from dermtl.imaging.decode import read_image
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan, replan_heads
from dermtl.runtime.decision import Decisions
from dermtl.runtime.predictor import load

OUT_OF_FOLD = "out of fold"
"""The split of a cross-validation: every record, answered by the fold that tested on it."""


@dataclass(frozen=True)
class EvaluationTarget:
    """A model and the records that it is tried on.

    Attributes:
        predictor: The model.
        plans: Heads of the model, by name.
        records: The table, with groups, and with splits where they are known.
        folder: Where results go by default, in a folder for each split.
        history: The metrics.csv of its training, where there is one.
        facts: What the model says of itself.
        trained: What it was trained on, if the records are of another table; None for its own table, whose split was
            checked when it was made.
        decisions: What was frozen on its validation split; empty where nothing was.
        members: Image to the fold that tested on it, of a cross-validation; empty for one model.
    """

    predictor: Predictor
    plans: Mapping[str, HeadPlan]
    records: Sequence[Record]
    folder: Path = Path()
    history: Path | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    trained: Trained | None = None
    decisions: Decisions = field(default_factory=Decisions)
    members: Mapping[str, "EvaluationTarget"] = field(default_factory=dict)

    def answering(self, record: Record) -> "EvaluationTarget":
        """The model that answers for a record: this one, or the fold that tested on the record."""
        return self.members.get(record.image, self)

    def records_in(self, split: str) -> list[Record]:
        """The records of a split; ``all`` and :data:`OUT_OF_FOLD` take every one.

        Raises:
            InputError: There is no such split.
            ManifestError: No record is in it.
        """
        if split in ("all", OUT_OF_FOLD):
            return list(self.records)
        if split not in SPLITS.values():
            raise InputError(f"expected train, val, test or all, got {split!r}", where="--split")
        chosen = [record for record in self.records if record.split == split]
        if not chosen:
            raise ManifestError(f"no record is in split {split!r}", hint="--split all takes the whole table")
        return chosen

    def predict_values(self, records: Sequence[Record]) -> list[Mapping[str, Array]]:
        """Full output name to value, source frame, of each record.

        Raises:
            DataError: A picture cannot be read.
        """
        if not self.members:
            return list(self.predictor.predict_values([read_image(record.path) for record in records]))
        return [self.answering(one).predictor.predict_values([read_image(one.path)])[0] for one in records]


def exported_target(path: Path, manifest: Path | None = None) -> EvaluationTarget:
    """An exported model; without a manifest, the data of the run it lies in.

    Raises:
        BundleError: The file is not a model of dermtl's.
        PluginError: A head's plugin, which brings the metrics, is not installed.
        InputError: There is neither a manifest nor a run.
    """
    model = load(path)
    plans = replan_heads(model.bundle.heads)
    run = path.parent
    data, trained = run_data(run), None
    if manifest is not None:
        columns = {key: value for key, value in model.bundle.data.items() if value is not None}
        records = read_other_table(manifest, Data(**columns))
        unknown = Trained(unknown="the model lies in no run, so its training pictures are not known")
        trained = trained_on(data, run / "splits.csv") if data is not None else unknown
    elif data is not None:
        records = read_splits(run / "splits.csv", read_manifest(data), allow_leakage=data.allow_leakage)
    else:
        raise InputError(
            "lies in no run, so there is nothing to evaluate it on", where=str(path), hint="give --manifest"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    facts = {"file": path.name, "sha256": digest, "name": model.bundle.name, **model.bundle.provenance}
    history, folder = run / "metrics.csv", run / "evaluation" / path.stem
    return EvaluationTarget(
        ModelPredictor(model),
        plans,
        records,
        folder,
        history if history.is_file() else None,
        facts,
        trained,
        model.bundle.decisions,
    )


def run_data(folder: Path) -> Data | None:
    """The ``data`` section of the run in a folder, or None where there is no run."""
    if not (folder / "config.yaml").is_file():
        return None
    source = read_stored(folder / "config.yaml")
    return validate(Experiment, source.data, source).data


def read_other_table(manifest: Path, data: Data) -> list[Record]:
    """The records of a table other than the one trained on: groups as there, splits from its ``split`` column if any.

    Raises:
        ManifestError: The table cannot be read.
    """
    data = data.model_copy(update={"root": manifest.parent, "manifest": manifest.name})
    records = read_manifest(data)
    groups = group_records(records, data.group)
    return [
        replace(record, group=group, split=SPLITS.get(record.cells.get("split", "").strip().lower(), ""))
        for record, group in zip(records, groups, strict=True)
    ]
