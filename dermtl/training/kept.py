"""Batches without pictures: for every record, what the frozen layers gave for it, and its targets.

The layers are run once over all records in a fixed order, so what is kept does not depend on when that happens, and a
resumed run, which has to do it again or finds it on disk, goes on with the same bits.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from dermtl.imaging.affine import Array
from dermtl.training.dataset import Batch, Examples, load_batches
from dermtl.training.frozen import FrozenLayers, Replay
from dermtl.training.kept_file import kept_file, read_kept, write_kept
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
        folder: Where outputs are kept for later runs; None for nowhere.
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
        folder: Path | None = None,
        after_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self._frozen = frozen
        self._examples = examples
        self._annotated = annotated
        self._num = len(examples)
        self._total = views * self._num
        self._outputs: list[_Rows] = []
        self._targets: dict[str, tuple[Tensor, Tensor]] = {}
        self._sizes = torch.zeros((self._num, 2), dtype=torch.int64)
        path = kept_file(folder, frozen, examples, views) if folder else None
        if path and self._restored(path):
            _log.info("found what frozen layers give for %d pictures in %s", self._total, path)
            return
        order = BatchOrder(self._num, batch_size, shuffle=False)
        order.views = views
        batches = load_batches(examples, order, workers=workers)
        for order.epoch in range(views):
            for batch in batches:
                places = torch.tensor(batch.indices) + order.epoch * self._num
                self._keep(places, batch, frozen.compute(batch.images.to(device)))
                after_batch()
        batches.close()
        kept = sum(rows.values.nbytes for rows in self._outputs) / 1e6
        _log.info("kept what frozen layers give for %d pictures: %.0f MB", self._total, kept)
        if path:
            write_kept(path, self._tensors())

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
                [(height, width) for height, width in self._sizes[indices].tolist()],
                [self._annotations(index) for index in indices] if self._annotated else [],
                Replay(self._frozen, [rows.take(places) for rows in self._outputs]),
            )

    def _annotations(self, index: int) -> dict[str, Array]:
        record = self._examples.records[index]
        read = {name: kind.read(record) for name, kind in self._examples.kinds.items()}
        return {name: annotation for name, annotation in read.items() if annotation is not None}

    def _keep(self, places: Tensor, batch: Batch, outputs: list[Tensor]) -> None:
        if not self._outputs:
            self._outputs = [_Rows.like(output, self._total) for output in outputs]
        for rows, output in zip(self._outputs, outputs, strict=True):
            rows.put(places, output)
        for name, (own, values) in batch.targets.items():
            if name not in self._targets:
                known = torch.zeros(self._total, dtype=torch.bool)
                self._targets[name] = (known, values.new_zeros((self._total, *values.shape[1:])))
            self._targets[name][0][places[own]] = True
            self._targets[name][1][places[own]] = values
        self._sizes[batch.indices] = torch.tensor(batch.sizes_hw)

    def _tensors(self) -> dict[str, Tensor]:
        """All that is kept, by name."""
        found = {"sizes": self._sizes}
        for number, rows in enumerate(self._outputs):
            found[f"output.{number}.{'last' if rows.permuted else 'first'}"] = rows.values
        for name, (known, values) in self._targets.items():
            found |= {f"known.{name}": known, f"target.{name}": values}
        return found

    def _restored(self, path: Path) -> bool:
        """Take up what :meth:`_tensors` gave an earlier run; False where there is nothing."""
        if (found := read_kept(path)) is None:
            return False
        outputs = sorted(
            (name.split(".") for name in found if name.startswith("output.")), key=lambda name: int(name[1])
        )
        self._outputs = [_Rows(found[".".join(name)], permuted=name[2] == "last") for name in outputs]
        for name, known in found.items():
            kind, _, head = name.partition(".")
            if kind == "known":
                self._targets[head] = (known, found[f"target.{head}"])
        self._sizes = found["sizes"]
        return True


class _Rows:
    """Rows of one tensor in memory, which come back in the memory format they had: some kernels' bits depend on it.

    Attributes:
        values: [num, ...], channels last where ``permuted``.
        permuted: Whether rows are [N, C, H, W] with channels last in memory.
    """

    def __init__(self, values: Tensor, *, permuted: bool) -> None:
        self.values = values
        self.permuted = permuted

    @classmethod
    def like(cls, sample: Tensor, num: int) -> "_Rows":
        """Room for ``num`` rows of such tensors."""
        last = sample.ndim == 4 and sample.is_contiguous(memory_format=torch.channels_last)
        permuted = last and not sample.is_contiguous()
        shape = [*sample.shape[2:], sample.shape[1]] if permuted else sample.shape[1:]
        return cls(torch.empty([num, *shape], dtype=sample.dtype), permuted=permuted)

    def put(self, places: Tensor, values: Tensor) -> None:
        self.values[places] = (values.permute(0, 2, 3, 1) if self.permuted else values).cpu()

    def take(self, places: Tensor) -> Tensor:
        found = self.values[places]
        return found.permute(0, 3, 1, 2) if self.permuted else found
