"""Batches without pictures: for every record, what the frozen layers gave for it, and its targets.

The layers are run once over all records in a fixed order, so what is kept does not depend on when that happens, and a
resumed run, which has to do it again, goes on with the same bits.
"""

import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dermtl.imaging.affine import Array
from dermtl.training.dataset import Batch, Examples, load_batches
from dermtl.training.frozen import FrozenLayers
from dermtl.training.sampling import BatchOrder

_log = logging.getLogger(__name__)


class KeptOutputs:
    """The frozen layers' outputs for some records.

    Args:
        frozen: The layers.
        examples: The records.
        batch_size: Records of a pass.
        workers: Processes that decode.
        device: Where the layers are.
        views: How many differently augmented pictures of each record.
        annotated: Whether batches bring the annotations, which are read anew each time: masks would fill the memory.
        after_batch: Called now and then, to stop by an exception.
    """

    def __init__(
        self,
        frozen: FrozenLayers,
        examples: Examples,
        *,
        batch_size: int,
        workers: int,
        device: torch.device,
        views: int = 1,
        annotated: bool = False,
        after_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self._examples = examples
        self._annotated = annotated
        self._num = len(examples)
        self._total = views * self._num
        self._outputs: list[_Rows] = []
        self._targets: dict[str, tuple[Tensor, Tensor]] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        order = BatchOrder(self._num, batch_size, shuffle=False)
        order.views = views
        batches = load_batches(examples, order, workers=workers)
        for order.epoch in range(views):
            for batch in batches:
                places = torch.tensor(batch.indices) + order.epoch * self._num
                self._keep(places, batch, frozen.compute(batch.images.to(device)))
                after_batch()
        batches.close()
        kept = sum(rows.num_bytes for rows in self._outputs) / 1e6
        _log.info("kept what frozen layers give for %d pictures: %.0f MB", self._total, kept)

    def batches(self, order: BatchOrder) -> Iterator[Batch]:
        """The batches of an epoch, in that order, with :attr:`Batch.frozen`."""
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
                [self._sizes[index] for index in indices],
                [self._annotations(index) for index in indices] if self._annotated else [],
                [rows.take(places) for rows in self._outputs],
            )

    def _annotations(self, index: int) -> dict[str, Array]:
        record = self._examples.records[index]
        read = {name: kind.read(record) for name, kind in self._examples.kinds.items()}
        return {name: annotation for name, annotation in read.items() if annotation is not None}

    def _keep(self, places: Tensor, batch: Batch, outputs: list[Tensor]) -> None:
        if not self._outputs:
            self._outputs = [_Rows(self._total, output) for output in outputs]
        for rows, output in zip(self._outputs, outputs, strict=True):
            rows.put(places, output)
        for name, (own, values) in batch.targets.items():
            if name not in self._targets:
                known = torch.zeros(self._total, dtype=torch.bool)
                self._targets[name] = (known, values.new_zeros((self._total, *values.shape[1:])))
            self._targets[name][0][places[own]] = True
            self._targets[name][1][places[own]] = values
        self._sizes.update(zip(batch.indices, batch.sizes_hw, strict=True))


class _Rows:
    """Rows of one tensor in memory, which come back in the memory format they had: some kernels' bits depend on it."""

    def __init__(self, num: int, sample: Tensor) -> None:
        last = sample.ndim == 4 and sample.is_contiguous(memory_format=torch.channels_last)
        self._permuted = last and not sample.is_contiguous()
        shape = [sample.shape[0], *sample.shape[2:], sample.shape[1]] if self._permuted else list(sample.shape)
        self._values = torch.empty([num, *shape[1:]], dtype=sample.dtype)

    @property
    def num_bytes(self) -> int:
        return self._values.nbytes

    def put(self, places: Tensor, values: Tensor) -> None:
        self._values[places] = (values.permute(0, 2, 3, 1) if self._permuted else values).cpu()

    def take(self, places: Tensor) -> Tensor:
        found = self._values[places]
        return found.permute(0, 3, 1, 2) if self._permuted else found
