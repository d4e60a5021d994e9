"""From an experiment file to a finished run. Everything is checked before anything is written."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dermtl.config.load import load_experiment
from dermtl.data.duplicates.near_duplicates import write_copies
from dermtl.data.manifest.groups import tell_groups
from dermtl.data.manifest.split import write_splits
from dermtl.files.atomic import refuse_used_folder, write_atomic
from dermtl.runs.calibrate import calibrate_trained
from dermtl.runs.folder import RunFolder
from dermtl.tracking.curves import draw_curves
from dermtl.tracking.installed import make_trackers
from dermtl.tracking.trackers import Trackers
from dermtl.training.data.sheet import write_sheet
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.loop.listener import Listener
from dermtl.training.loop.trainer import Trainer
from dermtl.training.memory import keep_freed_memory
from dermtl.training.prepare import Prepared, make_examples, make_network, prepare
from dermtl.training.provenance import as_run, first_facts, record_outcome, to_yaml, write_documents
from dermtl.training.resume.compare_settings import refuse_changes, refuse_other_data

_log = logging.getLogger(__name__)


def train(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    run: Path | None = None,
    resume: bool = False,
    listeners: Sequence[Listener] = (),
) -> RunFolder:
    """Train an experiment, in one process or in one of several that ``torchrun`` started.

    Args:
        path: Experiment file.
        overrides: Overrides ``a.b=value``.
        run: Folder of the run; default: ``runs/<name>``.
        resume: Continue the run in this folder; without one, begin it.
        listeners: Receive every batch and every epoch; what they raise ends the run.

    Raises:
        DermtlError: The input is wrong; nothing was written.
        Interrupted: On a signal; the run can be resumed.
    """
    keep_freed_memory()
    experiment, source = load_experiment(path, overrides)
    processes = ProcessGroup(experiment.training)
    is_writer = processes.rank == 0
    folder = RunFolder(run or Path("runs") / experiment.name)
    resume = _has_state(folder, path, resume=resume)
    prepared = prepare(experiment, source, folder.splits if resume else None)
    settings = as_run(experiment, prepared.plans)
    if resume:
        refuse_changes(folder, settings)
    trackers = make_trackers(experiment.training.trackers, source) if is_writer else {}
    examples = make_examples(prepared, source)
    if resume:
        refuse_other_data(folder, prepared.records)
    network = make_network(prepared, source, pretrained=not resume)
    trainer = Trainer(prepared, network, examples, folder, processes)
    if resume:
        trainer.restore()
    facts = folder.facts if resume else first_facts(prepared, network.backbone.licence, processes.num)
    processes.barrier()  # no process writes before all have read and checked
    if is_writer:
        _write_first_files(folder, prepared, settings, None if resume else facts)
        if not resume:
            write_sheet(folder.path / "batch.jpg", examples[0])
    processes.barrier()
    tell_groups(prepared.records, experiment.data.group)
    _log.info("run %s: %s", folder.path, ", ".join(f"{len(prepared.side(s))} {s}" for s in ("train", "val", "test")))
    with (
        Trackers(trackers, folder.path, experiment.name, settings) as tracking,
        record_outcome(folder, facts, writes=is_writer) as results,
    ):
        state = trainer.state
        if state.history:
            tracking.on_epoch(state.history[-1])  # a kill may have come between storing and reporting it
        trainer.fit([tracking, *listeners])
        if is_writer:  # before the run counts as finished
            draw_curves(state.history, folder.path)
            calibrate_trained(folder.path)
        results |= {"epochs": state.total_epochs, **state.best_epoch(experiment.training.select.by)}
        if state.choices:
            results["choices"] = state.choices
    return folder


def _has_state(folder: RunFolder, experiment: Path, *, resume: bool) -> bool:
    """Whether the folder holds the state of a run to be resumed.

    A run that was killed before it wrote a state begins again.

    Raises:
        DataError: The folder holds something else than the experiment file, and is not to be resumed or is no run.
    """
    if resume and (folder.state.exists() or folder.config.exists()):
        return folder.state.exists()
    refuse_used_folder(folder.path, except_for=experiment, hint="give another --run, or go on with --resume")
    return False


def _write_first_files(
    folder: RunFolder, prepared: Prepared, settings: dict[str, Any], facts: dict[str, Any] | None
) -> None:
    """Write the files that a run begins with; of a resumed run, which has no new facts, only the experiment."""
    folder.path.mkdir(parents=True, exist_ok=True)
    write_atomic(folder.config, to_yaml(settings))
    if facts is not None:
        write_splits(folder.path, prepared.records, prepared.stratify)
        write_copies(folder.path, prepared.records, prepared.copies)
        write_documents(folder.path, prepared.plans)
        folder.note(facts)
