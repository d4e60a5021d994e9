"""A run as the subject of an evaluation."""

from pathlib import Path

from dermtl.data.manifest import read_manifest
from dermtl.data.split import read_splits
from dermtl.evaluation.leakage import trained_on
from dermtl.evaluation.subject import Subject, read_other
from dermtl.model.predictor import NetworkPredictor
from dermtl.model.run import load_run


def run_subject(path: Path, manifest: Path | None = None) -> Subject:
    """A run with its best weights, on its own data or on another manifest's.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        DataError: The table or the split cannot be read.
    """
    run = load_run(path)
    data, trained = run.experiment.data, None
    if manifest is not None:
        records = read_other(manifest, data)
        trained = trained_on(data, run.folder.splits)
    else:
        records = read_splits(run.folder.splits, read_manifest(data), allow_leakage=data.allow_leakage)
    predictor = NetworkPredictor(run.network, run.kinds, run.experiment.backbone.image_size)
    history = path / "metrics.csv"
    return Subject(predictor, run.plans, records, path / "evaluation", history, run.folder.facts, trained)
