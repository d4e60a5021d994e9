"""What training works on: the experiment's records, heads, examples and network, all of it checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dermtl.config.experiment import Experiment
from dermtl.config.source import Source
from dermtl.data.duplicates.near_duplicates import Copy, find_copies
from dermtl.data.manifest.preflight import preflight
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import read_splits, split_records
from dermtl.errors import ConfigError, ManifestError
from dermtl.kinds import Category, Kind, Record
from dermtl.model.network import Network, build_network
from dermtl.plugins.plan import HeadPlan, plan_heads
from dermtl.statistics.spread import spread
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.dataset import Examples
from dermtl.training.data.image_size import refuse_size
from dermtl.training.data.picture_cache import open_cache
from dermtl.training.optim.optimiser import build_optimiser, try_optimiser
from dermtl.training.optim.parameter_groups import backbone_groups, select
from dermtl.training.selection.criterion import refuse_unknown_metric

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
    def kinds(self) -> dict[str, Kind]:
        """Head to the kind of its truth."""
        return {name: plan.target for name, plan in self.plans.items()}

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


def make_examples(prepared: Prepared, source: Source) -> tuple[Examples, Examples]:
    """Training and validation examples, after every file was looked at and some were augmented.

    Raises:
        ConfigError: Weights cannot be chosen by what ``training.select`` names.
        DermtlError: A file or an annotation cannot be read, or there is nothing to train on.
    """
    preflight(prepared.records, prepared.kinds)
    training, size = prepared.experiment.training, prepared.experiment.backbone.image_size
    augmentation = Augmentation(training.augmentation, where=source.where(("training", "augmentation")))
    examples, validation = (
        Examples(
            side,
            prepared.kinds,
            size,
            augmentation=moving,
            seed=training.seed,
            cache=open_cache(training.cache, side, size),
        )
        for side, moving in ((prepared.side("train"), augmentation), (prepared.side("val"), None))
    )
    if not examples.records:
        raise ManifestError("the split leaves no record to train on", hint="raise data.split.train")
    for index in spread(range(len(examples)), _TRIED):
        examples[0, index]
    try:
        refuse_unknown_metric(training.select, prepared.plans, validation)
    except ConfigError as error:
        where = source.where(("training", "select", "by"))
        raise ConfigError(error.message, where=where, hint=error.hint) from error
    return examples, validation


def make_network(prepared: Prepared, source: Source, *, pretrained: bool = True) -> Network:
    """The network, seeded, after every stage was tried out on it; without weights where stored ones are loaded next.

    Raises:
        ConfigError: It cannot be made, or a stage does not go with it.
    """
    torch.manual_seed(prepared.experiment.training.seed)
    try:
        network = build_network(prepared.experiment.backbone, prepared.plans, pretrained=pretrained)
    except ConfigError as error:
        key = error.message.partition(":")[0].split(".")
        raise ConfigError(error.message, where=source.where(key), hint=error.hint) from error
    training, groups = prepared.experiment.training, backbone_groups(network)
    num = len(prepared.side("train"))
    for index, stage in enumerate(training.stages):
        try:
            select(stage, groups)
        except ConfigError as error:
            where = source.where(("training", "stages", index, "train"))
            raise ConfigError(f"training.stages.{index}.{error.message}", where=where) from error
        try:
            refuse_size(stage, network)
        except ConfigError as error:
            where = source.where(("training", "stages", index, "image_size"))
            raise ConfigError(f"training.stages.{index}.{error.message}", where=where, hint=error.hint) from error
        try:
            build_optimiser(network, stage, groups, -(-num // training.batch_size))
        except ConfigError as error:
            where = source.where(("training", "stages", index))
            raise ConfigError(f"training.stages.{index}: {error.message}", where=where, hint=error.hint) from error
        try:
            try_optimiser(stage, training.accelerator)
        except ConfigError as error:
            where = source.where(("training", "stages", index, "optimizer"))
            raise ConfigError(f"training.stages.{index}.{error.message}", where=where, hint=error.hint) from error
    return network


def _first_category(plans: Mapping[str, HeadPlan]) -> str | None:
    targets = (plan.target for plan in plans.values())
    return next((target.column for target in targets if isinstance(target, Category)), None)
