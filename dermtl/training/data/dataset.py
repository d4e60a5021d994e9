"""Records as examples and batches. Sample ``i`` of epoch ``e`` depends on (seed, e, i), not on workers or order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dermtl.arrays import Array
from dermtl.errors import DermtlError
from dermtl.imaging.decode import read_image_for
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Kind, Record
from dermtl.model.head import Features
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.batch_order import Key, keyed_seed
from dermtl.training.data.picture_cache import PictureCache

_MAX_DRAWS = 3  # draws of an augmentation before the plain letterbox is used instead


@dataclass
class Batch:
    """Pictures and targets.

    Attributes:
        images: uint8 [N, 3, S, S].
        targets: Head to the rows that have a target, int64 [n], and their targets, [n, ...]; a head without any target
            in this batch is missing.
        indices: Indices of the records.
        sizes_hw: Height and width of every source picture in pixels.
        annotations: For each record, head to annotation in the source frame; empty while training.
        features: Cached features of a frozen backbone for these pictures, which are then black; None: not cached.
    """

    images: Tensor
    targets: dict[str, tuple[Tensor, Tensor]]
    indices: list[int]
    sizes_hw: list[tuple[int, int]] = field(default_factory=list)
    annotations: list[dict[str, Array]] = field(default_factory=list)
    features: Features | None = None

    def pin_memory(self) -> "Batch":
        """Move the pictures into page-locked memory, which a GPU copies faster; the loader calls this."""
        self.images = self.images.pin_memory()
        return self

    def targets_on(self, device: torch.device) -> dict[str, tuple[Tensor, Tensor]]:
        """:attr:`targets` on a device."""
        return {name: (rows.to(device), target.to(device)) for name, (rows, target) in self.targets.items()}


@dataclass
class _Example:
    index: int
    image: Array
    size_hw: tuple[int, int]
    targets: dict[str, Array]
    annotations: dict[str, Array]


class Examples(Dataset[_Example]):
    """Records as letterboxed and perhaps augmented pictures with targets.

    The key of an item is (epoch, index); if the record was drawn before in this epoch, the number of earlier draws is
    appended.

    Args:
        records: Records to read.
        kinds: Head to the kind of its annotation.
        size: Side of the network's input in pixels.
        augmentation: None: plain letterboxes, with annotations in the source frame, as validation needs them.
        seed: Seed of the run.
        cache: Stores letterboxed pictures.
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
        """The examples of a batch, or the error of one of them.

        An error is returned as a value: an exception raised in a worker reaches the loop only as a text.
        """
        try:
            return [self[key] for key in keys]
        except DermtlError as error:
            return error

    def __getitem__(self, key: Key) -> _Example:
        epoch, index, *repeat = key
        record = self.records[index]
        image, (height, width) = self._read(index)
        view = Letterbox((height, width), self.size).view
        read = {name: kind.read(record) for name, kind in self.kinds.items()}
        annotations = {name: annotation for name, annotation in read.items() if annotation is not None}
        if self.augmentation is None:
            targets = {name: self.kinds[name].encode(value, view) for name, value in annotations.items()}
            visible = {name: target for name, target in targets.items() if target is not None}
            return _Example(index, image, (height, width), visible, annotations)
        spatial = any(self.kinds[name].spatial for name in annotations)
        for draw in range(_MAX_DRAWS + 1):
            seed = keyed_seed(self.seed, epoch, index, draw, *repeat)
            moved = (image, view) if draw == _MAX_DRAWS else self.augmentation(image, view, seed, spatial=spatial)
            targets = {name: self.kinds[name].encode(value, moved[1]) for name, value in annotations.items()}
            if all(target is not None for target in targets.values()):
                break
        visible = {name: target for name, target in targets.items() if target is not None}
        return _Example(index, moved[0], (height, width), visible, {})

    def _read(self, index: int) -> tuple[Array, tuple[int, int]]:
        """The letterboxed picture, and the height and width of its source."""
        if self.cache is not None and (cached := self.cache.get(index)) is not None:
            return cached
        source = read_image_for(self.records[index].path, self.size)
        image = Letterbox.of(source, self.size).apply(source)
        if self.cache is not None:
            self.cache.put(index, image, source.size_hw)
        return image, source.size_hw


def collate(examples: Sequence[_Example] | DermtlError) -> Batch | DermtlError:
    """Stack examples into a batch; an error is returned as it is."""
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
