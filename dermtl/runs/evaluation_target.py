"""A run as the subject of an evaluation."""

from pathlib import Path

from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import read_splits
from dermtl.errors import InputError
from dermtl.evaluation.audit.leakage import trained_on
from dermtl.evaluation.evaluation_target import EvaluationTarget, read_other
from dermtl.model.predictor import NetworkPredictor
from dermtl.runs.folder import RunFolder, load_run


def run_target(path: Path, manifest: Path | None = None) -> EvaluationTarget:
    """A run with its best weights, on its own data or on another manifest's.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        DataError: The table or the split cannot be read.
    """
    if RunFolder(path).folds.is_file():
        hint = "dermtl evaluate takes all folds together; or name one, such as fold-0"
        raise InputError("holds the folds of a cross-validation", where=str(path), hint=hint)
    run = load_run(path)
    data, trained = run.experiment.data, None
    if manifest is not None:
        records = read_other(manifest, data)
        trained = trained_on(data, run.folder.splits)
    else:
        records = read_splits(run.folder.splits, read_manifest(data), allow_leakage=data.allow_leakage)
    size, temperatures = run.experiment.backbone.image_size, run.decisions.temperatures
    predictor = NetworkPredictor(run.network, run.kinds, size, temperatures)
    history = path / "metrics.csv"
    return EvaluationTarget(
        predictor, run.plans, records, path / "evaluation", history, run.folder.facts, trained, run.decisions
    )
