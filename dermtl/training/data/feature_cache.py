"""Features of a frozen backbone for pictures that repeat: computed once, then read by the heads in every epoch.

The backbone runs once over all records in a fixed order. A resumed run computes the features anew, in the same order,
and so continues with the same bits.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from dermtl.arrays import Array
from dermtl.config.training import Training
from dermtl.model.head import Features
from dermtl.model.network import Network
from dermtl.training.data.batch_order import BatchOrder
from dermtl.training.data.dataset import Batch, Examples
from dermtl.training.data.image_size import shrink
from dermtl.training.data.loader import load_batches

_log = logging.getLogger(__name__)


class FrozenBackbone:
    """A frozen backbone, and the parts of its features that the heads read.

    Args:
        network: Network with a frozen backbone.
        images: Batch for a dry run, uint8 [N, 3, S, S].
        image_size: Side of the pictures that the backbone receives, in pixels; None: S.
        autocast: Returns the context of the run's precision.

    Attributes:
        num_bytes: Memory in bytes for the features that the heads read of one picture.
    """

    def __init__(
        self,
        network: Network,
        images: Tensor,
        image_size: int | None = None,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._backbone = network.backbone
        self._device = next(network.parameters()).device
        self._image_size = image_size
        self._autocast = autocast
        parts = self._run(images)
        self._samples = [part[:1] for part in parts]
        leaves = [part.clone().requires_grad_() for part in parts]
        modes = {module: module.training for module in network.modules()}
        network.eval()  # norms must not count this batch
        with autocast():
            raw = network.run_heads(Features(leaves[0], tuple(leaves[1:])))
        for module, mode in modes.items():
            module.training = mode
        score = torch.stack([value.float().square().sum() for value in raw.values() if value.requires_grad]).sum()
        gradients = torch.autograd.grad(score, leaves, allow_unused=True)
        self._read = [index for index, gradient in enumerate(gradients) if gradient is not None]
        self.num_bytes = sum(self._samples[index].nbytes for index in self._read)

    def compute(self, images: Tensor) -> list[Tensor]:
        """The parts that the heads read, [N, ...] each, of uint8 images [N, 3, S, S]."""
        parts = self._run(images)
        return [parts[index] for index in self._read]

    def features(self, read: Sequence[Tensor]) -> Features:
        """The backbone's features, with zeros for the parts that no head reads."""
        parts_read = dict(zip(self._read, read, strict=True))
        num = len(read[0]) if read else 0
        parts = [
            parts_read[index] if index in parts_read else sample.new_zeros(()).expand(num, *sample.shape[1:])
            for index, sample in enumerate(self._samples)
        ]
        return Features(parts[0], tuple(parts[1:]))

    def _run(self, images: Tensor) -> list[Tensor]:
        images = shrink(images.to(self._device), self._image_size)
        with torch.no_grad(), self._autocast():
            features: Features = self._backbone(images)
        return features.tensors


class FeatureCache:
    """The features of some records, and their targets.

    Args:
        backbone: Frozen backbone.
        examples: Records; those without augmentation are for validation and bring their annotations along.
        training: Section of the experiment with batch size and workers.
        views: Number of differently augmented pictures per record.
        after_batch: Called after every batch; may raise to stop.
    """

    def __init__(
        self,
        backbone: FrozenBackbone,
        examples: Examples,
        training: Training,
        *,
        views: int = 1,
        after_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self._backbone = backbone
        self._examples = examples
        self._num = len(examples)
        self._total = views * self._num
        self._parts: list[Tensor] = []
        self._targets: dict[str, tuple[Tensor, Tensor]] = {}
        self._sizes = torch.zeros((self._num, 2), dtype=torch.int64)
        order = BatchOrder(self._num, training.batch_size, shuffle=False)
        order.views = views
        batches = load_batches(examples, order, workers=training.workers)
        for order.epoch in range(views):
            for batch in batches:
                self._store(torch.tensor(batch.indices) + order.epoch * self._num, batch)
                after_batch()
        batches.close()
        megabytes = sum(part.nbytes for part in self._parts) / 1e6
        _log.info("feature cache: %d pictures, %.0f MB", self._total, megabytes)

    def batches(self, order: BatchOrder) -> Iterator[Batch]:
        """The batches of an epoch in an order, with :attr:`Batch.features` and black pictures."""
        blank, size = torch.zeros((), dtype=torch.uint8), [self._examples.size] * 2
        for keys in order:
            indices = [index for _, index, *_ in keys]
            places = torch.tensor([key[0] * self._num + key[1] for key in keys])
            targets: dict[str, tuple[Tensor, Tensor]] = {}
            for name, (known, values) in self._targets.items():
                rows = torch.nonzero(known[places]).flatten()
                if len(rows):
                    targets[name] = (rows, values[places[rows]])
            yield Batch(
                blank.expand(len(keys), 3, *size),
                targets,
                indices,
                [(height, width) for height, width in self._sizes[indices].tolist()],
                [self._annotations(index) for index in indices] if self._examples.augmentation is None else [],
                self._backbone.features([_as_maps(part[places]) for part in self._parts]),
            )

    def _annotations(self, index: int) -> dict[str, Array]:
        """A record's annotations, read anew each time: all masks would not fit into memory."""
        record = self._examples.records[index]
        read = {name: kind.read(record) for name, kind in self._examples.kinds.items()}
        return {name: annotation for name, annotation in read.items() if annotation is not None}

    def _store(self, places: Tensor, batch: Batch) -> None:
        stored = [_as_stored(part) for part in self._backbone.compute(batch.images)]
        if not self._parts:
            self._parts = [torch.empty([self._total, *part.shape[1:]], dtype=part.dtype) for part in stored]
        for cached, part in zip(self._parts, stored, strict=True):
            cached[places] = part.cpu()
        for name, (rows, values) in batch.targets.items():
            if name not in self._targets:
                known = torch.zeros(self._total, dtype=torch.bool)
                self._targets[name] = (known, values.new_zeros((self._total, *values.shape[1:])))
            self._targets[name][0][places[rows]] = True
            self._targets[name][1][places[rows]] = values
        self._sizes[batch.indices] = torch.tensor(batch.sizes_hw)


def _as_stored(part: Tensor) -> Tensor:
    """Maps with channels last, as the network computes them: the bits of some kernels depend on the memory layout."""
    return part.permute(0, 2, 3, 1) if part.ndim == 4 else part


def _as_maps(part: Tensor) -> Tensor:
    return part.permute(0, 3, 1, 2) if part.ndim == 4 else part
