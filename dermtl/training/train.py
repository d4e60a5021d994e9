"""From an experiment file to a finished run. Everything that can be wrong is found before anything is written."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermtl.config.experiment import Experiment
from dermtl.config.load import load_experiment
from dermtl.config.source import Source
from dermtl.data.atomic import write_atomic
from dermtl.data.cache import open_cache
from dermtl.data.check import preflight
from dermtl.data.copies import Copy, find_copies, write_copies
from dermtl.data.manifest import read_manifest
from dermtl.data.split import read_splits, split_records, write_splits
from dermtl.errors import ConfigError, DermtlError, ManifestError
from dermtl.kinds import Category, Record
from dermtl.model.network import Network, build_network
from dermtl.model.run import RunFolder
from dermtl.plugins.plan import HeadPlan, plan_heads
from dermtl.tracking.curves import draw_curves
from dermtl.tracking.installed import make_trackers
from dermtl.tracking.trackers import Trackers
from dermtl.training.augmentation import Augmentation
from dermtl.training.dataset import Examples
from dermtl.training.interruption import Interrupted
from dermtl.training.loop import Trainer
from dermtl.training.optimiser import build_optimiser
from dermtl.training.provenance import as_run, data_digest, first_facts, to_yaml
from dermtl.training.stages import backbone_groups, select

_log = logging.getLogger(__name__)
_HARMLESS = ("training.workers", "training.cache", "training.trackers")  # change the speed or who is told
_TRIED = 8  # records that are augmented before the run begins, to find what cannot be


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data and heads, checked."""

    experiment: Experiment
    plans: Mapping[str, HeadPlan]
    records: Sequence[Record]
    copies: Sequence[Copy] = ()

    def side(self, name: str) -> list[Record]:
        """The records of one split."""
        return [record for record in self.records if record.split == name]

    @property
    def audit(self) -> dict[str, Any]:
        """What was done against leaks."""
        data, sure = self.experiment.data, sum(copy.is_sure for copy in self.copies)
        return {
            "copies_searched": data.copies,
            "copies_joined": sure,
            "pairs_to_review": len(self.copies) - sure,
            "allowed": data.allow_leakage,
        }

    @property
    def stratify(self) -> str | None:
        """The column that splits are balanced by."""
        return self.experiment.data.split.stratify or _first_category(self.plans)


def train(path: Path, overrides: Sequence[str] = (), *, run: Path | None = None, resume: bool = False) -> RunFolder:
    """Train an experiment.

    Args:
        path: The experiment file.
        overrides: ``a.b=value`` each.
        run: The run's folder; default: ``runs/<name>``.
        resume: Go on with the run that is there, or begin it where there is none.

    Raises:
        DermtlError: The input is wrong; nothing was written.
        Interrupted: On a signal; the run can be resumed.
    """
    experiment, source = load_experiment(path, overrides)
    folder = RunFolder(run or Path("runs") / experiment.name)
    begun = resume and folder.config.exists()  # killed before its first state: that run begins again
    resume = resume and folder.state.exists()
    if not resume and not begun and folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
        raise ConfigError("exists already", where=str(folder.path), hint="give another --run, or go on with --resume")
    prepared = prepare(experiment, source, folder.splits if resume else None)
    stored = as_run(experiment, prepared.plans)
    if resume:
        _refuse_changes(folder, stored)
    kinds = {name: plan.target for name, plan in prepared.plans.items()}
    preflight(prepared.records, kinds)
    if resume:
        _refuse_other_data(folder, prepared.records)
    training, size = experiment.training, experiment.backbone.image_size
    tracking = make_trackers(training.trackers, source)
    augmentation = Augmentation(training.augmentation, where=source.where(("training", "augmentation")))
    examples, validation = (
        Examples(
            side, kinds, size, augmentation=moving, seed=training.seed, cache=open_cache(training.cache, side, size)
        )
        for side, moving in ((prepared.side("train"), augmentation), (prepared.side("val"), None))
    )
    if not examples.records:
        raise ManifestError("the split leaves no record to train on", hint="raise data.split.train")
    for index in range(min(_TRIED, len(examples))):
        examples[0, index]
    network = _network(prepared, source, len(examples), pretrained=not resume)
    trainer = Trainer(training, network, prepared.plans, examples, validation, folder)
    if not resume:
        folder.path.mkdir(parents=True, exist_ok=True)
        write_atomic(folder.config, to_yaml(stored))
        write_splits(folder.path, prepared.records, prepared.stratify)
        write_copies(folder.path, prepared.records, prepared.copies)
        facts = first_facts(experiment, prepared.plans, prepared.records, network.backbone.licence)
        folder.note(facts | {"leakage": prepared.audit})
    _log.info("run %s: %s", folder.path, ", ".join(f"{len(prepared.side(s))} {s}" for s in ("train", "val", "test")))
    with Trackers(tracking, folder.path, experiment.name, stored) as trackers:
        try:
            trainer.fit(resume=resume, trackers=trackers)
        except Interrupted:
            folder.note(folder.facts | {"state": "interrupted"})
            trackers.end("interrupted")
            raise
        except DermtlError:
            folder.note(folder.facts | {"state": "failed"})
            raise
        epochs, best = trainer.position.total_epochs, trainer.position.best
        best_val_loss = best if math.isfinite(best) else None  # nothing to validate on
        folder.note(folder.facts | {"state": "finished", "epochs": epochs, "best_val_loss": best_val_loss})
        draw_curves(trainer.position.history, folder.path)
    return folder


def prepare(experiment: Experiment, source: Source, splits: Path | None = None) -> Prepared:
    """Read the table, deal the records out (or as ``splits`` says) and let the heads see the training records.

    Raises:
        DermtlError: The table, the split or a head's keys are wrong.
    """
    plans = plan_heads(experiment, source)
    records: Sequence[Record] = read_manifest(experiment.data)
    copies: Sequence[Copy] = ()
    if splits is not None:
        records = read_splits(splits, records, allow_leakage=experiment.data.allow_leakage)
    else:
        copies = find_copies(records) if experiment.data.copies else ()
        records = split_records(records, experiment.data, _first_category(plans), copies=copies)
    training = [record for record in records if record.split == "train"]
    fitted = {name: plan.fitted(training) for name, plan in plans.items()}
    return Prepared(experiment, fitted, records, copies)


def _network(prepared: Prepared, source: Source, num: int, *, pretrained: bool) -> Network:
    """The network, seeded, after every stage was tried out on it; ``num`` records are trained on."""
    import torch

    torch.manual_seed(prepared.experiment.training.seed)
    try:
        network = build_network(prepared.experiment.backbone, prepared.plans, pretrained=pretrained)
    except ConfigError as error:
        key = error.message.partition(":")[0].split(".")
        raise ConfigError(error.message, where=source.where(key), hint=error.hint) from error
    training, groups = prepared.experiment.training, backbone_groups(network)
    for index, stage in enumerate(training.stages):
        try:
            select(stage, groups)
        except ConfigError as error:
            where = source.where(("training", "stages", index, "train"))
            raise ConfigError(f"training.stages.{index}.{error.message}", where=where) from error
        try:
            build_optimiser(network, stage, groups, -(-num // training.batch_size))
        except ConfigError as error:
            where = source.where(("training", "stages", index))
            raise ConfigError(f"training.stages.{index}: {error.message}", where=where, hint=error.hint) from error
    return network


def _first_category(plans: Mapping[str, HeadPlan]) -> str | None:
    targets = (plan.target for plan in plans.values())
    return next((target.column for target in targets if isinstance(target, Category)), None)


def _refuse_changes(folder: RunFolder, wanted: Mapping[str, Any]) -> None:
    """A run goes on with the experiment it began with."""
    stored, _ = folder.read_experiment()
    before, after = _flat(stored.model_dump(mode="json")), _flat(wanted)
    changed = [key for key in before | after if before.get(key) != after.get(key) and not key.startswith(_HARMLESS)]
    if changed:
        lines = ", ".join(f"{key}: {before.get(key)!r} -> {after.get(key)!r}" for key in changed)
        raise ConfigError(f"the experiment changed since this run began: {lines}", where=str(folder.path))


def _refuse_other_data(folder: RunFolder, records: Sequence[Record]) -> None:
    """A run goes on with the data it began with."""
    if folder.facts.get("data", {}).get("digest") != data_digest(records):
        hint = "put the old table and pictures back, or begin another --run"
        raise ManifestError("the data changed since this run began", where=str(folder.path), hint=hint)


def _flat(data: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(data, Mapping) and data:
        return {k: v for key, value in data.items() for k, v in _flat(value, f"{prefix}{key}.").items()}
    if isinstance(data, list | tuple):
        return {k: v for index, value in enumerate(data) for k, v in _flat(value, f"{prefix}{index}.").items()}
    return {prefix.rstrip("."): data}
