"""Records as batches. Sample ``i`` of epoch ``e`` is a pure function of (seed, e, i), for any worker and any order."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dermtl.arrays import Array
from dermtl.errors import DermtlError
from dermtl.imaging.decode import read_image_for
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Kind, Record
from dermtl.model.head import Features
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.batch_order import BatchOrder, Key, keyed_seed
from dermtl.training.data.picture_cache import PictureCache

_PATIENCE = 20  # seconds that a worker outlives a signal
_DRAWS = 3  # draws of an augmentation before the plain letterbox is taken instead


@dataclass
class Batch:
    """Pictures and targets.

    Attributes:
        images: uint8 [N, 3, S, S].
        targets: For each head with any target here: the rows that have one, int64 [n], and the targets, [n, ...].
        indices: Positions of the records.
        sizes_hw: Height and width of every source picture.
        annotations: For each record, head to annotation in the source frame; empty while training.
        features: What a frozen backbone gave for these pictures, if that is cached; the pictures are then blank.
    """

    images: Tensor
    targets: dict[str, tuple[Tensor, Tensor]]
    indices: list[int]
    sizes_hw: list[tuple[int, int]] = field(default_factory=list)
    annotations: list[dict[str, Array]] = field(default_factory=list)
    features: Features | None = None

    def pin_memory(self) -> "Batch":
        """Move the pictures into page-locked memory, from where they reach a GPU faster; the loader calls this."""
        self.images = self.images.pin_memory()
        return self


@dataclass
class _Example:
    index: int
    image: Array
    size_hw: tuple[int, int]
    targets: dict[str, Array]
    annotations: dict[str, Array]


class Examples(Dataset[_Example]):
    """Records as letterboxed, perhaps augmented pictures with targets.

    An item's key is (epoch, index), and the count of its earlier draws in the epoch where there are any.

    Args:
        records: What to read.
        kinds: Head to the kind of its truth.
        size: Side of the network's input.
        augmentation: None for plain letterboxes, which also bring the annotations along.
        seed: Seed of the run.
        cache: Where letterboxed pictures are kept.
    """

    def __init__(
        self,
        records: Sequence[Record],
        kinds: Mapping[str, Kind],
        size: int,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        cache: PictureCache | None = None,
    ) -> None:
        self.records = records
        self.kinds = kinds
        self.size = size
        self.augmentation = augmentation
        self.seed = seed
        self.cache = cache

    def __len__(self) -> int:
        return len(self.records)

    def __getitems__(self, keys: Sequence[Key]) -> "list[_Example] | DermtlError":
        """The examples of a batch, or the fault of one of them.

        A fault is handed on as a value: what a worker raises reaches the loop as a traceback in a string.
        """
        try:
            return [self[key] for key in keys]
        except DermtlError as fault:
            return fault

    def __getitem__(self, key: Key) -> _Example:
        epoch, index, *again = key
        record = self.records[index]
        image, (height, width) = self._read(index)
        view = Letterbox((height, width), self.size).view
        read = {name: kind.read(record) for name, kind in self.kinds.items()}
        annotations = {name: annotation for name, annotation in read.items() if annotation is not None}
        if self.augmentation is None:
            targets = {name: self.kinds[name].encode(value, view) for name, value in annotations.items()}
            kept = {name: target for name, target in targets.items() if target is not None}
            return _Example(index, image, (height, width), kept, annotations)
        spatial = any(self.kinds[name].spatial for name in annotations)
        for draw in range(_DRAWS + 1):
            seed = keyed_seed(self.seed, epoch, index, draw, *again)
            moved = (image, view) if draw == _DRAWS else self.augmentation(image, view, seed, spatial=spatial)
            targets = {name: self.kinds[name].encode(value, moved[1]) for name, value in annotations.items()}
            if all(target is not None for target in targets.values()):
                break
        kept = {name: target for name, target in targets.items() if target is not None}
        return _Example(index, moved[0], (height, width), kept, {})

    def _read(self, index: int) -> tuple[Array, tuple[int, int]]:
        """The letterboxed picture, and its source's height and width."""
        if self.cache is not None and (cached := self.cache.get(index)) is not None:
            return cached
        source = read_image_for(self.records[index].path, self.size)
        image = Letterbox.of(source, self.size).apply(source)
        if self.cache is not None:
            self.cache.put(index, image, source.size_hw)
        return image, source.size_hw


def load_batches(examples: Examples, order: BatchOrder, *, workers: int = 0, pin_memory: bool = False) -> "Batches":
    """Batches in an order; may be passed over many times, the order's epoch and start count each time.

    Args:
        examples: What to read.
        order: Which records make up each batch.
        workers: Processes that read and augment; 0 for this one.
        pin_memory: For faster copies to a GPU.

    Raises:
        DermtlError: While iterating, as the example raised it, from whatever process.
    """
    return Batches(
        DataLoader(
            examples,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            pin_memory=pin_memory,
            worker_init_fn=_quiet_worker,
        )
    )


class Batches:
    """A loader whose faults are raised here."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            if isinstance(batch, DermtlError):
                raise batch
            yield batch

    def close(self) -> None:
        """End the worker processes."""
        running = getattr(self._loader, "_iterator", None)
        if self._loader.num_workers and running is not None:
            running._shutdown_workers()  # what torch itself calls, but only once nothing refers to the iterator


def _quiet_worker(worker: int) -> None:
    """One thread a worker, and signals left to the parent."""
    import signal

    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def outlive(number: int, frame: object) -> None:
        """Some schedulers signal every process: the parent still finishes its batch, and then ends this one."""
        for later in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(later, lambda number, frame: os._exit(0))
        signal.alarm(_PATIENCE)

    signal.signal(signal.SIGTERM, outlive)


def collate(examples: Sequence[_Example] | DermtlError) -> Batch | DermtlError:
    """Stack examples; a head's targets hold only the rows that have one. A fault is handed on."""
    if isinstance(examples, DermtlError):
        return examples
    images = torch.from_numpy(np.stack([example.image for example in examples])).permute(0, 3, 1, 2)
    targets: dict[str, tuple[Tensor, Tensor]] = {}
    for name in dict.fromkeys(name for example in examples for name in example.targets):
        rows = [row for row, example in enumerate(examples) if name in example.targets]
        stacked = np.stack([examples[row].targets[name] for row in rows])
        targets[name] = (torch.tensor(rows), torch.from_numpy(stacked))
    return Batch(
        images,
        targets,
        [example.index for example in examples],
        [example.size_hw for example in examples],
        [example.annotations for example in examples],
    )
