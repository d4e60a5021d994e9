"""From an experiment file to a finished run. Everything that can be wrong is found before anything is written."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dermtl.config.load import load_experiment
from dermtl.data.duplicates.near_duplicates import write_copies
from dermtl.data.manifest.groups import tell_groups
from dermtl.data.manifest.split import write_splits
from dermtl.errors import DermtlError
from dermtl.files.atomic import refuse_used_folder, write_atomic
from dermtl.runs.calibrate import calibrate_trained
from dermtl.runs.folder import RunFolder
from dermtl.tracking.curves import draw_curves
from dermtl.tracking.installed import make_trackers
from dermtl.tracking.trackers import Trackers
from dermtl.training.distributed.process_group import Processes
from dermtl.training.loop.signals import Interrupted
from dermtl.training.loop.trainer import Trainer
from dermtl.training.memory import keep_freed_memory
from dermtl.training.prepare import make_examples, make_network, prepare
from dermtl.training.provenance import as_run, first_facts, to_yaml, write_documents
from dermtl.training.resume.compare_settings import refuse_changes, refuse_other_data

_log = logging.getLogger(__name__)


def train(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    run: Path | None = None,
    resume: bool = False,
    watch: Callable[[Mapping[str, Any]], None] = lambda row: None,
) -> RunFolder:
    """Train an experiment, in one process or as one of those that ``torchrun`` started.

    Args:
        path: The experiment file.
        overrides: ``a.b=value`` each.
        run: The run's folder; default: ``runs/<name>``.
        resume: Go on with the run that is there, or begin it where there is none.
        watch: Called with every row of metrics.csv; may raise to end the run.

    Raises:
        DermtlError: The input is wrong; nothing was written.
        Interrupted: On a signal; the run can be resumed.
    """
    keep_freed_memory()
    experiment, source = load_experiment(path, overrides)
    processes = Processes(experiment.training)
    folder = RunFolder(run or Path("runs") / experiment.name)
    begun = resume and folder.config.exists()  # killed before its first state: that run begins again
    resume = resume and folder.state.exists()
    if not resume and not begun:
        hint = "give another --run, or go on with --resume"
        refuse_used_folder(folder.path, except_for=path, hint=hint)
    prepared = prepare(experiment, source, folder.splits if resume else None)
    stored = as_run(experiment, prepared.plans)
    if resume:
        refuse_changes(folder, stored)
    tracking = make_trackers(experiment.training.trackers, source) if processes.rank == 0 else {}
    examples, validation = make_examples(prepared, source)
    if resume:
        refuse_other_data(folder, prepared.records)
    network = make_network(prepared, source, pretrained=not resume)
    trainer = Trainer(experiment.training, network, prepared.plans, examples, validation, folder, processes)
    processes.barrier()  # nobody writes before all have looked
    note: Callable[[Mapping[str, Any]], None] = folder.note if processes.rank == 0 else lambda facts: None
    if processes.rank == 0:
        folder.path.mkdir(parents=True, exist_ok=True)
        write_atomic(folder.config, to_yaml(stored))
    if not resume and processes.rank == 0:
        write_splits(folder.path, prepared.records, prepared.stratify)
        write_copies(folder.path, prepared.records, prepared.copies)
        write_documents(folder.path, prepared.plans)
        facts = first_facts(experiment, prepared.plans, prepared.records, network.backbone.licence)
        note(facts | {"leakage": prepared.audit, "processes": processes.num})
    processes.barrier()
    tell_groups(prepared.records, experiment.data.group)
    _log.info("run %s: %s", folder.path, ", ".join(f"{len(prepared.side(s))} {s}" for s in ("train", "val", "test")))
    with Trackers(tracking, folder.path, experiment.name, stored) as trackers:
        try:
            trainer.fit(trackers, resume=resume, watch=watch)
            if processes.rank == 0:  # before the run counts as finished
                draw_curves(trainer.position.history, folder.path)
                calibrate_trained(folder.path)
        except Interrupted:
            note(folder.facts | {"state": "interrupted"})
            trackers.end("interrupted")
            raise
        except DermtlError:
            note(folder.facts | {"state": "failed"})
            raise
        position = trainer.position
        facts = {
            "state": "finished",
            "epochs": position.total_epochs,
            **position.selection(experiment.training.select.by),
        }
        note(folder.facts | facts | ({"choices": position.choices} if position.choices else {}))
    return folder
