"""Where an epoch's batches come from: decoded pictures, or what frozen layers gave for pictures that come again."""

import logging
from collections.abc import Callable, Iterable, Sequence

from dermtl.config.training import Stage, Training
from dermtl.data.cache import cache_folder
from dermtl.errors import ConfigError
from dermtl.kinds import Record
from dermtl.model.network import Network
from dermtl.training.dataset import Batch, Examples, collate, load_batches
from dermtl.training.frozen import FrozenLayers
from dermtl.training.kept import KeptOutputs
from dermtl.training.processes import Processes
from dermtl.training.sampling import BatchOrder, balanced_shares

_log = logging.getLogger(__name__)
_TRIED = 2  # pictures that replaying is tried on


class Feeds:
    """The training and the validation batches.

    Args:
        training: Batch size, seed, workers, sampler, budget.
        processes: Each of them gets its part of every batch.
        network: Whose frozen layers may be replayed.
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
        self._kept: tuple[KeptOutputs, KeptOutputs | None] | None = None

    @property
    def val_records(self) -> Sequence[Record]:
        """What validation batches count their indices in."""
        return self._examples[1].records

    def prepare(self, stage: Stage, *, freezes: bool, after_batch: Callable[[], None]) -> None:
        """Look whether the outputs of frozen layers can be kept, and if so compute them.

        Call when the network was frozen anew; its weights must not have changed in frozen parts since.

        Args:
            stage: Whose batches follow.
            freezes: Whether anything of the backbone is frozen.
            after_batch: Called now and then; may raise to stop.
        """
        train, val = self._examples
        unmoved = not (train.augmentation and train.augmentation.moves)
        self.order.views = stage.views or (1 if unmoved else None)
        self._kept = None
        if not freezes or self.order.views is None or self._training.mix is not None or self._processes.num > 1:
            return
        if not self._training.feature_cache_mb:
            return
        tried = collate([train[0, index] for index in range(min(_TRIED, len(train)))])
        assert isinstance(tried, Batch)
        device, images = self._processes.device, tried.images.to(self._processes.device)
        frozen = FrozenLayers(self._network, images, self._processes.fabric.autocast)
        # Validation computes in 32 bits, whatever the steps do.
        whole = frozen if self._training.precision == "32-true" else FrozenLayers(self._network, images)
        if not (frozen.exact and whole.exact):
            _log.info("frozen layers are run anew for every batch: this backbone does not let them be replayed exactly")
            return
        needed = frozen.num_bytes * len(train) * self.order.views + whole.num_bytes * len(val)
        if needed > self._training.feature_cache_mb * 1e6:
            told = "frozen layers are run anew for every batch: %.0f MB of outputs exceed training.feature_cache_mb"
            _log.info(told, needed / 1e6)
            return
        shared = {"batch_size": self._training.batch_size, "workers": self._training.workers, "device": device}
        shared["folder"] = cache_folder() if self._training.cache == "disk" else None
        kept = KeptOutputs(frozen, train, views=self.order.views, after_batch=after_batch, **shared)  # type: ignore[arg-type]
        checked = KeptOutputs(whole, val, annotated=True, after_batch=after_batch, **shared) if len(val) else None  # type: ignore[arg-type]
        self._kept = (kept, checked)

    def train(self) -> Iterable[Batch]:
        """The batches of the epoch that :attr:`order` stands at."""
        return self._loaders[0] if self._kept is None else self._kept[0].batches(self.order)

    def val(self) -> Iterable[Batch] | None:
        """The validation batches, None where there are no records."""
        if self._loaders[1] is None:
            return None
        kept = self._kept[1] if self._kept is not None else None
        return self.unshuffled() if kept is None else kept.batches(self._val_order)

    def close(self) -> None:
        """End the processes that decode."""
        for loader in self._loaders:
            if loader is not None:
                loader.close()

    def unshuffled(self) -> Iterable[Batch]:
        """The validation batches with their pictures, whatever is kept of them."""
        return self._processes.in_step(self._loaders[1] or (), self._network, len(self._val_order))
