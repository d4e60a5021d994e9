"""Which records an epoch takes, in which order: a pure function of the seed and the epoch."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from dermtl.arrays import Array
from dermtl.errors import ConfigError
from dermtl.kinds import Category, Kind, Record

Key = tuple[int, ...]


def keyed_seed(*parts: int) -> int:
    """A 31-bit seed from integers, equal on every platform."""
    digest = hashlib.blake2b(",".join(map(str, parts)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


class BatchOrder(Sampler[list[Key]]):
    """Which records make up each batch of an epoch; shuffled by (seed, epoch), and able to start in the middle.

    Args:
        num: Number of records.
        batch_size: Largest number of records per batch.
        seed: Seed of the run.
        shuffle: Whether records are shuffled.
        shares: Probability of each record, float [num], summing to one: records are drawn with replacement. None: each
            record is used once.
        process: Rank of this process and number of processes; each process gets its part of every batch.

    Attributes:
        epoch: Epoch, counted over all stages.
        start: Number of batches to skip.
        views: Number of differently augmented pictures per record, which then repeat; None: new ones in every epoch.
    """

    def __init__(
        self,
        num: int,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        shares: Array | None = None,
        process: tuple[int, int] = (0, 1),
    ) -> None:
        self.num = num
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.shares = shares
        self.process = process
        self.epoch = 0
        self.start = 0
        self.views: int | None = None

    def __len__(self) -> int:
        return -(-self.num // self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        keys, (rank, ranks) = self._keys(), self.process
        # Sizes differ by one at most: a last batch of one picture would have no statistics for BatchNorm.
        edges = np.linspace(0, self.num, len(self) + 1).round().astype(int).tolist()
        for batch in range(self.start, len(self)):
            members = keys[edges[batch] : edges[batch + 1]]
            if part := members[len(members) * rank // ranks : len(members) * (rank + 1) // ranks]:
                yield part

    def _keys(self) -> list[Key]:
        order = np.arange(self.num)
        generator = np.random.default_rng(keyed_seed(self.seed, self.epoch))
        if self.shares is not None:
            order = generator.choice(self.num, self.num, p=self.shares)
        elif self.shuffle:
            order = generator.permutation(self.num)
        if self.views is not None:
            return [(self.epoch % self.views, index) for index in order.tolist()]
        num_draws: Counter[int] = Counter()
        keys: list[Key] = []
        for index in order.tolist():
            repeat = num_draws[index]
            num_draws[index] += 1
            keys.append((self.epoch, index, repeat) if repeat else (self.epoch, index))
        return keys


def balanced_shares(records: Sequence[Record], kinds: Sequence[Kind]) -> Array:
    """Shares for :class:`BatchOrder` that draw every class of the first category head equally often.

    Records without a class are drawn as often as the average record.

    Raises:
        ConfigError: No head has classes.
    """
    kind = next((kind for kind in kinds if isinstance(kind, Category)), None)
    if kind is None:
        raise ConfigError("training.sampler: balanced needs a head with classes", hint="leave it at shuffled")
    labels = [None if (label := kind.read(record)) is None else int(label) for record in records]
    counts = Counter(label for label in labels if label is not None)
    known = sum(counts.values())
    weights = np.array([1.0 if label is None else known / (len(counts) * counts[label]) for label in labels])
    return np.asarray(weights / weights.sum())
