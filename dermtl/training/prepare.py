"""What a training needs: the experiment's records, heads, examples and network, all of it checked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dermtl.config.document import dotted
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
from dermtl.training.optim.layer_groups import backbone_groups, trainable_groups
from dermtl.training.optim.optimiser import build_optimiser, try_optimiser
from dermtl.training.selection.criterion import refuse_unknown_metric

_NUM_DRY_RUN = 8  # records that are augmented before the run begins, to find errors early


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data and heads, checked.

    Attributes:
        experiment: The experiment file.
        plans: Head to its plan, fitted to the training records.
        records: Records of all splits.
        copies: Pairs of records that show one picture.
    """

    experiment: Experiment
    plans: Mapping[str, HeadPlan]
    records: Sequence[Record]
    copies: Sequence[Copy] = ()

    def side(self, name: str) -> list[Record]:
        """The records of one split."""
        return [record for record in self.records if record.split == name]

    @property
    def kinds(self) -> dict[str, Kind]:
        """Head to the kind of its annotation."""
        return {name: plan.target for name, plan in self.plans.items()}

    @property
    def leakage_facts(self) -> dict[str, Any]:
        """What was done against leakage, for run.json."""
        data, sure = self.experiment.data, sum(copy.is_sure for copy in self.copies)
        return {
            "copies_searched": data.copies,
            "copies_joined": sure,
            "pairs_to_review": len(self.copies) - sure,
            "allowed": data.allow_leakage,
        }

    @property
    def stratify(self) -> str | None:
        """Column that the splits are stratified by."""
        return self.experiment.data.split.stratify or _first_category(self.plans)


def prepare(experiment: Experiment, source: Source, splits: Path | None = None) -> Prepared:
    """Read and split the records, and fit the heads to the training records.

    Args:
        experiment: The experiment file.
        source: Source of the experiment, for messages.
        splits: A stored splits.csv that replaces the experiment's own split.

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
    """Training and validation examples, after all files were checked and some records were augmented.

    Raises:
        ConfigError: The metric in ``training.select`` does not exist.
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
            augmentation=augment,
            seed=training.seed,
            cache=open_cache(training.cache, side, size),
        )
        for side, augment in ((prepared.side("train"), augmentation), (prepared.side("val"), None))
    )
    if not examples.records:
        raise ManifestError("the split leaves no record to train on", hint="raise data.split.train")
    for index in spread(range(len(examples)), _NUM_DRY_RUN):
        examples[0, index]
    try:
        refuse_unknown_metric(training.select, prepared.plans, validation)
    except ConfigError as error:
        where = source.where(("training", "select", "by"))
        raise ConfigError(error.message, where=where, hint=error.hint) from error
    return examples, validation


def make_network(prepared: Prepared, source: Source, *, pretrained: bool = True) -> Network:
    """The network with its initial weights, after a dry run of every stage.

    Args:
        prepared: Experiment with its data and heads.
        source: Source of the experiment, for messages.
        pretrained: Whether to load pretrained weights; not needed if stored weights are loaded next.

    Raises:
        ConfigError: The network cannot be built, or a stage does not fit it.
    """
    torch.manual_seed(prepared.experiment.training.seed)
    try:
        network = build_network(prepared.experiment.backbone, prepared.plans, pretrained=pretrained)
    except ConfigError as error:
        key = error.message.partition(":")[0].split(".")
        raise ConfigError(error.message, where=source.where(key), hint=error.hint) from error
    training, groups = prepared.experiment.training, backbone_groups(network)
    num_batches = -(-len(prepared.side("train")) // training.batch_size)
    for index, stage in enumerate(training.stages):
        stage_key = ("training", "stages", index)
        with _at_key(source, (*stage_key, "train")):
            trainable_groups(stage, groups)
        with _at_key(source, (*stage_key, "image_size")):
            refuse_size(stage, network)
        with _at_key(source, stage_key):
            build_optimiser(network, stage, groups, num_batches)
        with _at_key(source, (*stage_key, "optimizer")):
            try_optimiser(stage, training.accelerator)
    return network


@contextmanager
def _at_key(source: Source, key: tuple[str | int, ...]) -> Iterator[None]:
    """Add the full key and its position to errors about a stage, which begin with the key inside the stage."""
    try:
        yield
    except ConfigError as error:
        stage = dotted(key[:3])
        message = f"{stage}.{error.message}" if len(key) > 3 else f"{stage}: {error.message}"
        raise ConfigError(message, where=source.where(key), hint=error.hint) from error


def _first_category(plans: Mapping[str, HeadPlan]) -> str | None:
    targets = (plan.target for plan in plans.values())
    return next((target.column for target in targets if isinstance(target, Category)), None)
