"""k-fold cross-validation: one run per fold, each of which is tested on another fold."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from dermtl.config.load import load_experiment
from dermtl.files.atomic import refuse_file_as_folder, refuse_used_folder, write_atomic
from dermtl.runs.calibrate_folds import calibrate_trained_folds
from dermtl.runs.folder import RunFolder
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.train import train

_log = logging.getLogger(__name__)


def train_folds(
    path: Path, overrides: Sequence[str] = (), *, num: int, run: Path | None = None, resume: bool = False
) -> Path:
    """Train an experiment once per fold, in ``fold-0`` and so on below one folder.

    Run k is tested on fold k and validated on fold k + 1. Groups are not divided, so each record is tested once, by a
    network that was not trained on its group. At the end the ensemble is calibrated.

    Args:
        path: Experiment file.
        overrides: Overrides ``a.b=value``.
        num: Number of folds, at least 3.
        run: Folder of the cross-validation; default: ``runs/<name>``.
        resume: Continue the folds that were interrupted.

    Returns:
        The folder of the cross-validation.

    Raises:
        DermtlError: The input is wrong.
        Interrupted: On a signal; the folds can be resumed.
    """
    experiment, _ = load_experiment(path, [*overrides, f"data.split.folds={num}"])
    folder = run or Path("runs") / experiment.name
    if resume:
        refuse_file_as_folder(folder)
    else:
        refuse_used_folder(folder, except_for=path, hint="give another --run, or go on with --resume")
    names = [f"fold-{fold}" for fold in range(num)]
    for fold, name in enumerate(names):
        _log.info("fold %d of %d", fold + 1, num)
        split = (f"data.split.folds={num}", f"data.split.fold={fold}")
        train(path, [*overrides, *split], run=folder / name, resume=resume)  # another number of folds is refused here
    if ProcessGroup(experiment.training).rank == 0:
        write_atomic(RunFolder(folder).folds, json.dumps({"runs": names}, indent=2) + "\n")
        calibrate_trained_folds(folder)
    return folder
