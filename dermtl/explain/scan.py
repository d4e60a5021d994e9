"""One pass over records: pooled features, probabilities, truths and losses of one head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dermtl.arrays import Array
from dermtl.explain.score import answer
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Category, Record
from dermtl.model.predictor import temper
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import TrainedRun

_TOGETHER = 16
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Scan:
    """What one head says of records, and what is true of them.

    Attributes:
        records: [n].
        names: Classes or tags, in the order of the probabilities.
        pooled: float32 [n, D], what the head reads.
        probability: float32 [n, K].
        truth: bool [n, K].
        is_exclusive: Whether one class holds, not any number of tags.
    """

    records: Sequence[Record]
    names: tuple[str, ...]
    pooled: Array
    probability: Array
    truth: Array
    is_exclusive: bool

    @property
    def losses(self) -> Array:
        """float64 [n]: minus the log of the probability of what is true; of tags, the sum over them."""
        right = np.where(self.truth, self.probability, 1 - self.probability).astype(np.float64)
        costs = -np.log(np.maximum(right, _SMALLEST))
        return np.asarray(costs[self.truth] if self.is_exclusive else costs.sum(axis=1))

    @property
    def decided(self) -> Array:
        """Bool [n, K]: the likeliest class, or the tags at one half or above."""
        if not self.is_exclusive:
            return np.asarray(self.probability >= 0.5)
        return np.asarray(self.probability.argmax(axis=1)[:, None] == np.arange(len(self.names)))

    @property
    def is_error(self) -> Array:
        """Bool [n]: whether anything was decided wrongly."""
        return np.asarray((self.decided != self.truth).any(axis=1))

    def text(self, holds: Array) -> str:
        """The names that hold, bool [K]."""
        return ", ".join(name for name, one in zip(self.names, holds, strict=True) if one) or "none"


def scan(run: TrainedRun, plan: HeadPlan, records: Sequence[Record]) -> Scan:
    """Run a network over the records that one of its heads has a truth for.

    Args:
        run: The network, in eval mode.
        plan: A head with classes or tags.
        records: Others than those with a truth are left out.
    """
    kind, size = plan.target, run.experiment.backbone.image_size
    (output, names), network = answer(plan), run.network
    known = [(record, truth) for record in records if (truth := kind.read(record)) is not None]
    pooled, probability = [], []
    for start in range(0, len(known), _TOGETHER):
        boxed = [boxed_picture(record, size)[0] for record, _ in known[start : start + _TOGETHER]]
        images = torch.from_numpy(np.stack(boxed)).permute(0, 3, 1, 2)
        with torch.no_grad():
            features = network.backbone(images)
            outputs = network.activate(temper(network, network.run_heads(features), run.decisions.temperatures))
        pooled.append(features.pooled.float().numpy())
        probability.append(outputs[output].numpy())
    truth = np.array([_holds(value, len(names), isinstance(kind, Category)) for _, value in known], bool)
    empty = np.zeros((0, len(names)), np.float32)
    return Scan(
        [record for record, _ in known],
        names,
        np.concatenate(pooled) if pooled else empty,
        np.concatenate(probability) if probability else empty,
        truth.reshape(len(known), len(names)),
        isinstance(kind, Category),
    )


def boxed_picture(record: Record, size: int) -> tuple[Array, Letterbox]:
    """A record's picture in the network frame, uint8 [S, S, 3], and the way there."""
    source = read_image(record.path)
    letterbox = Letterbox.of(source, size)
    return letterbox.apply(source), letterbox


def _holds(truth: Array, num: int, is_exclusive: bool) -> Array:
    return np.arange(num) == int(truth) if is_exclusive else np.asarray(truth) > 0
