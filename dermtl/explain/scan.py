"""One pass over records: pooled features, probabilities, truths and losses of one head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dermtl.arrays import Array
from dermtl.explain.score import primary_output
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Category, Record
from dermtl.model.predictor import temper
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import TrainedRun

_BATCH_SIZE = 16
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Scan:
    """Features, probabilities and truths of one head for records.

    Attributes:
        records: The n records.
        names: Classes or tags, in the order of the probabilities.
        pooled: float32 [n, D], pooled features.
        probability: float32 [n, K].
        truth: bool [n, K].
        is_exclusive: True for classes, of which one holds; false for tags, of which any number may.
    """

    records: Sequence[Record]
    names: tuple[str, ...]
    pooled: Array
    probability: Array
    truth: Array
    is_exclusive: bool

    @property
    def losses(self) -> Array:
        """float64 [n]: minus the log of the probability of the truth; for tags the sum over all tags."""
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
        """Bool [n]: whether a class or tag was decided wrongly."""
        return np.asarray((self.decided != self.truth).any(axis=1))

    def text(self, holds: Array) -> str:
        """The names of the classes or tags that hold, bool [K]."""
        return ", ".join(name for name, one in zip(self.names, holds, strict=True) if one) or "none"


def scan(run: TrainedRun, plan: HeadPlan, records: Sequence[Record]) -> Scan:
    """Run a network on the records that have an annotation for one of its heads.

    Args:
        run: The network, in eval mode.
        plan: A head with classes or tags.
        records: Records; those without an annotation are left out.
    """
    kind, size = plan.target, run.experiment.backbone.image_size
    (output, names), network = primary_output(plan), run.network
    known = [(record, truth) for record in records if (truth := kind.read(record)) is not None]
    pooled, probability = [], []
    for start in range(0, len(known), _BATCH_SIZE):
        boxed = [boxed_picture(record, size)[0] for record, _ in known[start : start + _BATCH_SIZE]]
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
    """A record's picture in the network frame, uint8 [S, S, 3], and its letterbox."""
    source = read_image(record.path)
    letterbox = Letterbox.of(source, size)
    return letterbox.apply(source), letterbox


def _holds(truth: Array, num: int, is_exclusive: bool) -> Array:
    return np.arange(num) == int(truth) if is_exclusive else np.asarray(truth) > 0
