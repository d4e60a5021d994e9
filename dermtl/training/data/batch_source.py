"""Where the batches of an epoch come from: decoded pictures, or the cached features of a frozen backbone."""

import logging
from collections.abc import Callable, Iterable, Sequence

from dermtl.config.training import Stage, Training
from dermtl.errors import ConfigError
from dermtl.kinds import Record
from dermtl.model.network import Network
from dermtl.training.data.batch_order import BatchOrder, balanced_shares
from dermtl.training.data.dataset import Batch, Examples, collate
from dermtl.training.data.feature_cache import FeatureCache, FrozenBackbone
from dermtl.training.data.loader import load_batches
from dermtl.training.distributed.process_group import ProcessGroup

_log = logging.getLogger(__name__)
_NUM_DRY_RUN = 2  # pictures that show which of the backbone's features the heads read


class BatchSource:
    """Training and validation batches.

    Args:
        training: Section of the experiment with batch size, seed, workers, sampler and memory for features.
        processes: Processes of the run; each gets its part of every batch.
        network: Network whose backbone's features may be cached.
        train: Training examples.
        val: Validation examples; may be empty.

    Attributes:
        order: Order of the training batches.

    Raises:
        ConfigError: A batch would have fewer records than there are processes.
    """

    def __init__(
        self, training: Training, processes: ProcessGroup, network: Network, train: Examples, val: Examples
    ) -> None:
        self._training = training
        self._processes = processes
        self._network = network
        self._train, self._val = train, val
        shares = balanced_shares(train.records, list(train.kinds.values())) if training.sampler == "balanced" else None
        process = (processes.rank, processes.num)
        self.order = BatchOrder(len(train), training.batch_size, seed=training.seed, shares=shares, process=process)
        if (smallest := len(train) // len(self.order)) < processes.num:
            raise ConfigError(
                f"training.batch_size: {len(train)} training records make batches of {smallest}, "
                f"which {processes.num} processes cannot share",
                hint="raise it, or start fewer processes",
            )
        self._val_order = BatchOrder(len(val), training.batch_size, shuffle=False, process=process)
        self._val_order.views = 1
        workers, pin_memory = training.workers, processes.device.type == "cuda"
        self._train_loader = load_batches(train, self.order, workers=workers, pin_memory=pin_memory)
        self._val_loader = (
            load_batches(val, self._val_order, workers=workers, pin_memory=pin_memory) if len(val) else None
        )
        self._train_cache: FeatureCache | None = None
        self._val_cache: FeatureCache | None = None

    @property
    def val_records(self) -> Sequence[Record]:
        """Validation records, to which the indices in validation batches refer."""
        return self._val.records

    def prepare(self, stage: Stage, *, frozen: bool, after_batch: Callable[[], None]) -> None:
        """Compute the features of a frozen backbone, if its pictures repeat and the features fit into memory.

        Call it whenever other layers learn than before.

        Args:
            stage: Stage that the next batches are for.
            frozen: Whether the whole backbone is frozen.
            after_batch: Called after some batches; may raise to stop.
        """
        training, train, val = self._training, self._train, self._val
        constant = not (train.augmentation and train.augmentation.moves)
        self.order.views = stage.views or (1 if constant else None)
        self._train_cache, self._val_cache = None, None
        if not frozen or self.order.views is None or training.mix is not None or self._processes.num > 1:
            return
        if not training.feature_cache_mb:
            return
        sample = collate([train[0, index] for index in range(min(_NUM_DRY_RUN, len(train)))])
        assert isinstance(sample, Batch)
        autocast = self._processes.fabric.autocast
        backbone = FrozenBackbone(self._network, sample.images, stage.image_size, autocast)
        # Validation computes in 32 bits and at full size, whatever training does.
        alike = training.precision == "32-true" and stage.image_size is None
        val_backbone = backbone if alike else FrozenBackbone(self._network, sample.images)
        needed = backbone.num_bytes * len(train) * self.order.views + val_backbone.num_bytes * len(val)
        if needed > training.feature_cache_mb * 1e6:
            message = "features are computed anew for every batch: %.0f MB exceed training.feature_cache_mb"
            _log.info(message, needed / 1e6)
            return
        self._train_cache = FeatureCache(backbone, train, training, views=self.order.views, after_batch=after_batch)
        if len(val):
            self._val_cache = FeatureCache(val_backbone, val, training, after_batch=after_batch)

    def train(self) -> Iterable[Batch]:
        """The batches of the epoch that :attr:`order` names."""
        return self._train_loader if self._train_cache is None else self._train_cache.batches(self.order)

    def val(self) -> Iterable[Batch] | None:
        """The validation batches, with cached features if there are any; None without validation records."""
        if self._val_loader is None:
            return None
        return self.uncached_val() if self._val_cache is None else self._val_cache.batches(self._val_order)

    def uncached_val(self) -> Iterable[Batch]:
        """The validation batches with their pictures, whatever features are cached."""
        return self._processes.lockstep(self._val_loader or (), self._network, len(self._val_order))

    def close(self) -> None:
        """End the worker processes."""
        for loader in (self._train_loader, self._val_loader):
            if loader is not None:
                loader.close()
