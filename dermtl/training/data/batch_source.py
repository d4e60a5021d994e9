"""Where an epoch's batches come from: decoded pictures, or the cached features of a frozen backbone."""

import logging
from collections.abc import Callable, Iterable, Sequence

from dermtl.config.training import Stage, Training
from dermtl.errors import ConfigError
from dermtl.kinds import Record
from dermtl.model.network import Network
from dermtl.training.data.batch_order import BatchOrder, balanced_shares
from dermtl.training.data.dataset import Batch, Examples, collate, load_batches
from dermtl.training.data.feature_cache import FeatureCache, FrozenBackbone
from dermtl.training.data.image_size import shrunk
from dermtl.training.distributed.process_group import Processes

_log = logging.getLogger(__name__)
_TRIED = 2  # pictures that tell what the heads read of a backbone


class Feeds:
    """The training and the validation batches.

    Args:
        training: Batch size, seed, workers, sampler, budget.
        processes: Each of them gets its part of every batch.
        network: Network whose backbone's features may be cached.
        train: Training examples.
        val: Validation examples; may be empty.

    Attributes:
        order: Of the training batches.

    Raises:
        ConfigError: A batch would have fewer records than there are processes.
    """

    def __init__(
        self, training: Training, processes: Processes, network: Network, train: Examples, val: Examples
    ) -> None:
        self._training = training
        self._processes = processes
        self._network = network
        self._examples = (train, val)
        shares = balanced_shares(train.records, list(train.kinds.values())) if training.sampler == "balanced" else None
        process = (processes.rank, processes.num)
        self.order = BatchOrder(len(train), training.batch_size, seed=training.seed, shares=shares, process=process)
        if (least := len(train) // len(self.order)) < processes.num:
            raise ConfigError(
                f"training.batch_size: {len(train)} training records make batches of {least}, "
                f"which {processes.num} processes cannot share",
                hint="raise it, or start fewer processes",
            )
        self._val_order = BatchOrder(len(val), training.batch_size, shuffle=False, process=process)
        self._val_order.views = 1
        workers, pin_memory = training.workers, processes.device.type == "cuda"
        self._loaders = (
            load_batches(train, self.order, workers=workers, pin_memory=pin_memory),
            load_batches(val, self._val_order, workers=workers, pin_memory=pin_memory) if len(val) else None,
        )
        self._cached: tuple[FeatureCache, FeatureCache | None] | None = None

    @property
    def val_records(self) -> Sequence[Record]:
        """What validation batches count their indices in."""
        return self._examples[1].records

    def prepare(self, stage: Stage, *, frozen: bool, after_batch: Callable[[], None]) -> None:
        """Compute the features of a frozen backbone, if its pictures come again and the features have room.

        Call when the network was frozen anew.

        Args:
            stage: Whose batches follow.
            frozen: Whether nothing of the backbone learns.
            after_batch: Called now and then; may raise to stop.
        """
        train, val = self._examples
        unmoved = not (train.augmentation and train.augmentation.moves)
        self.order.views = stage.views or (1 if unmoved else None)
        self._cached = None
        if not frozen or self.order.views is None or self._training.mix is not None or self._processes.num > 1:
            return
        if not self._training.feature_cache_mb:
            return
        tried = collate([train[0, index] for index in range(min(_TRIED, len(train)))])
        assert isinstance(tried, Batch)
        device, images = self._processes.device, tried.images.to(self._processes.device)
        backbone = FrozenBackbone(self._network, shrunk(images, stage.image_size), self._processes.fabric.autocast)
        # Validation computes in 32 bits and at full size, whatever the steps do.
        alike = self._training.precision == "32-true" and stage.image_size is None
        whole = backbone if alike else FrozenBackbone(self._network, images)
        needed = backbone.num_bytes * len(train) * self.order.views + whole.num_bytes * len(val)
        if needed > self._training.feature_cache_mb * 1e6:
            message = "features are computed anew for every batch: %.0f MB exceed training.feature_cache_mb"
            _log.info(message, needed / 1e6)
            return
        size, workers = self._training.batch_size, self._training.workers
        cached = FeatureCache(
            backbone,
            train,
            batch_size=size,
            workers=workers,
            device=device,
            views=self.order.views,
            image_size=stage.image_size,
            after_batch=after_batch,
        )
        checked = None
        if len(val):
            checked = FeatureCache(
                whole, val, batch_size=size, workers=workers, device=device, annotated=True, after_batch=after_batch
            )
        self._cached = (cached, checked)

    def train(self) -> Iterable[Batch]:
        """The batches of the epoch that :attr:`order` stands at."""
        return self._loaders[0] if self._cached is None else self._cached[0].batches(self.order)

    def val(self) -> Iterable[Batch] | None:
        """The validation batches; None if there are no records."""
        if self._loaders[1] is None:
            return None
        cached = self._cached[1] if self._cached is not None else None
        return self.unshuffled() if cached is None else cached.batches(self._val_order)

    def close(self) -> None:
        """End the processes that decode."""
        for loader in self._loaders:
            if loader is not None:
                loader.close()

    def unshuffled(self) -> Iterable[Batch]:
        """The validation batches with their pictures, whatever is cached of them."""
        return self._processes.in_step(self._loaders[1] or (), self._network, len(self._val_order))
