"""k-fold cross-validation: one run a fold, each of which tests on a fold of its own."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from dermtl.config.load import load_experiment
from dermtl.errors import ConfigError
from dermtl.files.atomic import refuse_file_as_folder, write_atomic
from dermtl.runs.calibrate_folds import calibrate_trained_folds
from dermtl.runs.folder import RunFolder
from dermtl.training.distributed.process_group import Processes
from dermtl.training.train import train

_log = logging.getLogger(__name__)


def train_folds(
    path: Path, overrides: Sequence[str] = (), *, num: int, run: Path | None = None, resume: bool = False
) -> Path:
    """Train an experiment once a fold, in ``fold-0`` and so on below one folder.

    Fold k tests run k and validates run k - 1; groups stay whole, so each record is tested once, by a network that saw
    nothing of its group. At the end the ensemble's thresholds are settled.

    Args:
        path: The experiment file.
        overrides: ``a.b=value`` each.
        num: Number of folds, at least 3.
        run: The folder; default: ``runs/<name>``.
        resume: Go on where the folds were left.

    Returns:
        The folder.

    Raises:
        DermtlError: The input is wrong.
        Interrupted: On a signal; the folds can be resumed.
    """
    experiment, _ = load_experiment(path, [*overrides, f"data.split.folds={num}"])
    folder = run or Path("runs") / experiment.name
    refuse_file_as_folder(folder)
    if not resume and folder.exists() and any(folder.iterdir()):
        raise ConfigError("exists already", where=str(folder), hint="give another --run, or go on with --resume")
    names = [f"fold-{fold}" for fold in range(num)]
    for fold, name in enumerate(names):
        _log.info("fold %d of %d", fold + 1, num)
        chosen = (f"data.split.folds={num}", f"data.split.fold={fold}")
        train(path, [*overrides, *chosen], run=folder / name, resume=resume)  # another number of folds is refused here
    if Processes(experiment.training).rank == 0:
        write_atomic(RunFolder(folder).folds, json.dumps({"runs": names}, indent=2) + "\n")
        calibrate_trained_folds(folder)
    return folder
