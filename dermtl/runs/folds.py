"""The runs of a cross-validation, and their ensemble as one network."""

import hashlib
import json
from pathlib import Path

from dermtl.errors import ConfigError, TrainingError
from dermtl.model.ensemble import Ensemble
from dermtl.runs.folder import RunFolder, TrainedRun, load_run

GIVE_CLASSES = "give the head its classes, so that a fold without one of them knows it"


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


def members_digest(path: Path) -> str:
    """SHA-256 of what the ensemble's answers depend on: every member's weights and temperatures."""
    members = [RunFolder(run) for run in fold_runs(path)]
    state = [(one.weights_digest(), sorted(one.read_decisions().temperatures.items())) for one in members]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


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
            raise ConfigError("the folds answer differently", where=str(run.folder.path), hint=GIVE_CLASSES)
    network = Ensemble([run.network for run in runs], [run.decisions.temperatures for run in runs])
    frozen = RunFolder(path).read_decisions(members_digest(path))
    return TrainedRun(first.folder, first.experiment, first.plans, network.eval(), frozen)
