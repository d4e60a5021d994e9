"""The runs of a cross-validation: as one network, and as out-of-fold predictions."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from dermtl.errors import ConfigError, TrainingError
from dermtl.evaluation.decisions.operating_point import PREVALENCES
from dermtl.evaluation.evaluate import Evaluation, sum_up
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.predict.predict import join, predict_rows
from dermtl.evaluation.slices.subgroups import By
from dermtl.kinds import Record
from dermtl.model.ensemble import Ensemble
from dermtl.runs.evaluation_target import run_target
from dermtl.runs.folder import RunFolder, TrainedRun, load_run


def fold_runs(path: Path) -> list[Path]:
    """The folders of the folds; empty where ``path`` is no cross-validation.

    Raises:
        TrainingError: The list is damaged, or a fold is not trained yet.
    """
    listed = RunFolder(path).folds
    if not listed.is_file():
        return []
    try:
        runs = [path / str(name) for name in json.loads(listed.read_text(encoding="utf-8"))["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"cannot be read: {error}", where=str(listed)) from error
    for run in runs:
        if not (run / "run.json").is_file() or json.loads((run / "run.json").read_text())["state"] != "finished":
            raise TrainingError("is not trained to its end", where=str(run), hint="dermtl train ... --folds --resume")
    return runs


def fold_targets(path: Path) -> dict[str, EvaluationTarget]:
    """Name of a fold's folder to the fold, on the records of the cross-validation.

    Raises:
        DermtlError: A fold or its data cannot be read.
    """
    return {run.name: run_target(run) for run in fold_runs(path)}


def members_digest(path: Path) -> str:
    """SHA-256 of what the ensemble's answers depend on: every member's weights and temperatures."""
    members = [RunFolder(run) for run in fold_runs(path)]
    told = [(one.weights_digest(), sorted(one.read_decisions().temperatures.items())) for one in members]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def load_ensemble(path: Path) -> TrainedRun:
    """A run, or the folds of a cross-validation as one network, whose answer is the mean of theirs.

    Its decisions are those of the folds' folder; thresholds of single folds do not hold for the mean. The members'
    temperatures are inside the network.

    Raises:
        ConfigError: This is no run, or the folds differ in what they answer.
        BundleError: Decisions are damaged, or belong to other weights.
    """
    runs = [load_run(run) for run in fold_runs(path)]
    if not runs:
        return load_run(path)
    first = runs[0]
    for run in runs[1:]:
        if run.kinds != first.kinds:
            hint = "give the head its classes, so that a fold without one of them knows it"
            raise ConfigError("the folds answer differently", where=str(run.folder.path), hint=hint)
    network = Ensemble([run.network for run in runs], [run.decisions.temperatures for run in runs])
    settled = RunFolder(path).read_decisions(members_digest(path))
    return TrainedRun(first.folder, first.experiment, first.plans, network.eval(), settled)


def evaluate_folds(
    subjects: Mapping[str, EvaluationTarget],
    *,
    by: Sequence[By] = (),
    unit: str | None = None,
    prevalences: Sequence[float] = PREVALENCES,
    resamples: int = 2000,
) -> Evaluation:
    """Every record predicted by the fold that tested on it, and all of them summed up together.

    Each fold's temperatures are applied. Decisions are each fold's own; no single threshold holds for all.

    Args:
        subjects: The folds, as of :func:`fold_targets`.
        by: Columns to divide the records by.
        unit: Column of lesions or patients.
        prevalences: At which predictive values are stated.
        resamples: Of the bootstrap.

    Raises:
        DermtlError: A record cannot be read.
    """
    parts, records = [], list[Record]()
    for subject in subjects.values():
        own = subject.side("test")
        parts.append(predict_rows(subject.predictor, own, subject.plans, subject.decisions))
        records += own
    facts = {key: subject.facts[key] for key in ("name", "versions") if key in subject.facts}
    return sum_up(
        join(parts),
        records,
        subject.plans,
        split="out of fold",
        model={"folds": len(parts), **facts},
        by=by,
        unit=unit,
        prevalences=prevalences,
        resamples=resamples,
    )
