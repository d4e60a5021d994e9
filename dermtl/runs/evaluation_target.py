"""A run, and the folds of a cross-validation, as what is evaluated."""

from dataclasses import replace
from pathlib import Path

from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import read_splits
from dermtl.errors import ConfigError, InputError
from dermtl.evaluation.audit.leakage import trained_on
from dermtl.evaluation.evaluation_target import EvaluationTarget, read_other_table
from dermtl.model.predictor import NetworkPredictor
from dermtl.runs.folder import RunFolder, load_run
from dermtl.runs.folds import GIVE_CLASSES, fold_runs

_SHARED = ("name", "versions", "backbone", "leakage")  # facts that are the same of every fold


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
        records = read_other_table(manifest, data)
        trained = trained_on(data, run.folder.splits)
    else:
        records = read_splits(run.folder.splits, read_manifest(data), allow_leakage=data.allow_leakage)
    size, temperatures = run.experiment.backbone.image_size, run.decisions.temperatures
    return EvaluationTarget(
        predictor=NetworkPredictor(run.network, run.kinds, size, temperatures),
        plans=run.plans,
        records=records,
        folder=path / "evaluation",
        history=path / "metrics.csv",
        facts=run.folder.facts,
        trained=trained,
        decisions=run.decisions,
    )


def fold_targets(path: Path) -> dict[str, EvaluationTarget]:
    """Name of a fold's folder to the fold, on the records of the cross-validation.

    Raises:
        ConfigError: The folds differ in what they answer.
        DermtlError: A fold or its data cannot be read.
    """
    folds = {run.name: run_target(run) for run in fold_runs(path)}
    kinds = [
        {output: kind for plan in fold.plans.values() for output, kind in plan.outputs.items()}
        for fold in folds.values()
    ]
    for name, of_fold in zip(folds, kinds, strict=True):
        if of_fold != kinds[0]:
            raise ConfigError("the folds answer differently", where=str(path / name), hint=GIVE_CLASSES)
    return folds


def folds_target(path: Path) -> EvaluationTarget:
    """All folds as one model, which has each record answered by the fold that tested on it.

    Each fold's temperatures and decisions are applied to its own records. No threshold holds for all, so none is
    judged. The records are in the order in which the folds tested them.

    Raises:
        DermtlError: A fold or its data cannot be read.
    """
    folds = fold_targets(path)
    tested = [(record, fold) for fold in folds.values() for record in fold.records_in("test")]
    first = next(iter(folds.values()))
    weights = {name: RunFolder(path / name).weights_digest() for name in folds}
    shared = {key: first.facts[key] for key in _SHARED if key in first.facts}
    return EvaluationTarget(
        predictor=first.predictor,
        plans=first.plans,
        records=[replace(record, split="") for record, _ in tested],
        folder=path / "evaluation",
        facts={"folds": len(folds), **shared, "weights": weights},
        members={record.image: fold for record, fold in tested},
    )
