"""What a frozen backbone gives for pictures that come again: computed once, then read by the heads in every epoch.

The backbone runs once over all records in a fixed order, so a resumed run, which has to do it again, goes on with the
same bits.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from dermtl.arrays import Array
from dermtl.model.head import Features
from dermtl.model.network import Network
from dermtl.training.data.batch_order import BatchOrder
from dermtl.training.data.dataset import Batch, Examples, load_batches
from dermtl.training.data.image_size import shrunk

_log = logging.getLogger(__name__)


class FrozenBackbone:
    """A backbone of which nothing learns, and the parts of its features that the heads read.

    Args:
        network: With its backbone frozen.
        images: A batch to try it on, uint8 [N, 3, s, s].
        autocast: Makes the context of the run's precision.

    Attributes:
        num_bytes: Memory for what the heads read of one picture.
    """

    def __init__(
        self, network: Network, images: Tensor, autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    ) -> None:
        self._backbone = network.backbone
        self._autocast = autocast
        parts = self._run(images)
        self._samples = [part[:1] for part in parts]
        leaves = [part.clone().requires_grad_() for part in parts]
        modes = {module: module.training for module in network.modules()}
        network.eval()  # norms must not note this batch
        with autocast():
            raw = network.run_heads(Features(leaves[0], tuple(leaves[1:])))
        for module, mode in modes.items():
            module.training = mode
        score = torch.stack([value.float().square().sum() for value in raw.values() if value.requires_grad]).sum()
        gradients = torch.autograd.grad(score, leaves, allow_unused=True)
        self._read = [index for index, gradient in enumerate(gradients) if gradient is not None]
        self.num_bytes = sum(self._samples[index].nbytes for index in self._read)

    def compute(self, images: Tensor) -> list[Tensor]:
        """The parts that the heads read, [N, ...] each, for uint8 images [N, 3, s, s]."""
        parts = self._run(images)
        return [parts[index] for index in self._read]

    def features(self, read: Sequence[Tensor]) -> Features:
        """The backbone's features, with zeros for the parts that no head reads."""
        given = dict(zip(self._read, read, strict=True))
        num = len(read[0]) if read else 0
        parts = [
            given[index] if index in given else sample.new_zeros(()).expand(num, *sample.shape[1:])
            for index, sample in enumerate(self._samples)
        ]
        return Features(parts[0], tuple(parts[1:]))

    def _run(self, images: Tensor) -> list[Tensor]:
        with torch.no_grad(), self._autocast():
            features: Features = self._backbone(images)
        return features.tensors


class FeatureCache:
    """The features of some records, and their targets.

    Args:
        frozen: The backbone.
        examples: The records.
        batch_size: Records of a pass.
        workers: Processes that decode.
        device: Device of the backbone.
        views: Number of differently augmented pictures of each record.
        image_size: Side of the pictures that the backbone sees; None for as they come.
        annotated: Whether batches bring the annotations, which are read anew each time: masks would fill the memory.
        after_batch: Called now and then, to stop by an exception.
    """

    def __init__(
        self,
        frozen: FrozenBackbone,
        examples: Examples,
        *,
        batch_size: int,
        workers: int,
        device: torch.device,
        views: int = 1,
        image_size: int | None = None,
        annotated: bool = False,
        after_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self._frozen = frozen
        self._examples = examples
        self._annotated = annotated
        self._num = len(examples)
        self._total = views * self._num
        self._parts: list[Tensor] = []
        self._targets: dict[str, tuple[Tensor, Tensor]] = {}
        self._sizes = torch.zeros((self._num, 2), dtype=torch.int64)
        order = BatchOrder(self._num, batch_size, shuffle=False)
        order.views = views
        batches = load_batches(examples, order, workers=workers)
        for order.epoch in range(views):
            for batch in batches:
                places = torch.tensor(batch.indices) + order.epoch * self._num
                self._keep(places, batch, frozen.compute(shrunk(batch.images.to(device), image_size)))
                after_batch()
        batches.close()
        megabytes = sum(part.nbytes for part in self._parts) / 1e6
        _log.info("feature cache: %d pictures, %.0f MB", self._total, megabytes)

    def batches(self, order: BatchOrder) -> Iterator[Batch]:
        """The batches of an epoch, in that order, with :attr:`Batch.features` and blank pictures."""
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
                [self._annotations(index) for index in indices] if self._annotated else [],
                self._frozen.features([_as_maps(part[places]) for part in self._parts]),
            )

    def _annotations(self, index: int) -> dict[str, Array]:
        record = self._examples.records[index]
        read = {name: kind.read(record) for name, kind in self._examples.kinds.items()}
        return {name: annotation for name, annotation in read.items() if annotation is not None}

    def _keep(self, places: Tensor, batch: Batch, parts: Sequence[Tensor]) -> None:
        stored = [_as_stored(part) for part in parts]
        if not self._parts:
            self._parts = [torch.empty([self._total, *part.shape[1:]], dtype=part.dtype) for part in stored]
        for own, part in zip(self._parts, stored, strict=True):
            own[places] = part.cpu()
        for name, (rows, values) in batch.targets.items():
            if name not in self._targets:
                known = torch.zeros(self._total, dtype=torch.bool)
                self._targets[name] = (known, values.new_zeros((self._total, *values.shape[1:])))
            self._targets[name][0][places[rows]] = True
            self._targets[name][1][places[rows]] = values
        self._sizes[batch.indices] = torch.tensor(batch.sizes_hw)


def _as_stored(part: Tensor) -> Tensor:
    """Maps with channels last, as the network computes them: some kernels' bits depend on the order in memory."""
    return part.permute(0, 2, 3, 1) if part.ndim == 4 else part


def _as_maps(part: Tensor) -> Tensor:
    return part.permute(0, 3, 1, 2) if part.ndim == 4 else part
