"""Parity of the ways into a model: the network, the graph fed raw pictures, and the host's way.

The host's way is ``predict_batch`` for encoded files; the graph's way is what any other runtime does with decoded
pictures. All letterbox alike, bit by bit, so only floating-point noise remains, and one limit holds for all. Knows no
torch: the network comes as a function.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dermtl.arrays import Array
from dermtl.files.prefetch import batched
from dermtl.imaging.decode import read_image
from dermtl.kinds import Circle, Kind, Mask, Number, Points
from dermtl.runtime.bundle import INPUT
from dermtl.runtime.predictor import BATCH_SIZE, Model

Outputs = Mapping[str, Array]
DICE = 0.995
LIMIT = 1e-4
LIMIT_PX = 0.05


@dataclass
class Parity:
    """Deviation of one output between two ways, over all pictures.

    Attributes:
        path: The two ways; ``golden`` stands for the network's outputs at the time of the export.
        output: Name of the output.
        worst: Largest absolute difference; for positions in pixels of the picture.
        mean: Mean absolute difference.
        limit: Largest difference allowed: 1e-4, for numbers relative to the largest; for positions 0.05 pixels of the
            network's square.
        judged: The difference that is compared with the limit: ``worst``, for positions in pixels of the network's
            square.
        agreed: Share of pictures with the same decision: class, labels, or masks with a Dice of at least 0.995.
        dice: Mean Dice of masks; None for other kinds.
        ok: Whether the difference is within the limit and every decision is the same.
    """

    path: str
    output: str
    worst: float
    mean: float
    limit: float
    judged: float
    agreed: float
    dice: float | None
    ok: bool


@dataclass
class Deviations:
    """Collects the differences of one output, one entry for each picture.

    Attributes:
        kind: Kind of the output.
        size: Side of the network's square in pixels.
    """

    kind: Kind
    size: int
    _worst: list[float] = field(default_factory=list)
    _mean: list[float] = field(default_factory=list)
    _judged: list[float] = field(default_factory=list)
    _dice: list[float] = field(default_factory=list)
    _agreed: list[bool] = field(default_factory=list)
    _largest: float = 1.0

    def add(self, one: Array, other: Array, image_hw: tuple[int, int]) -> None:
        """Add the values that two ways give for a picture, both in the source frame."""
        gap = np.abs(one.astype(np.float64) - other)
        self._worst.append(float(gap.max()))
        self._mean.append(float(gap.mean()))
        self._judged.append(self._worst[-1] * (self.size / max(image_hw) if self._positions else 1.0))
        if isinstance(self.kind, Mask):
            a, b = self.kind.decide(one), self.kind.decide(other)
            total = np.count_nonzero(a) + np.count_nonzero(b)
            self._dice.append(2 * np.count_nonzero((a == b) & (a > 0)) / total if total else 1.0)
            self._agreed.append(self._dice[-1] >= DICE)
            return
        if isinstance(self.kind, Number):
            self._largest = max(self._largest, float(np.abs(one).max()))
        first, second = self.kind.to_json(one), self.kind.to_json(other)
        self._agreed.append(all(first.get(key) == second.get(key) for key in ("label", "labels")))

    def judge(self, path: str, output: str) -> Parity:
        """The parity of the two ways."""
        limit = LIMIT_PX if self._positions else LIMIT * self._largest
        judged, agreed = max(self._judged), float(np.mean(self._agreed))
        dice = float(np.mean(self._dice)) if self._dice else None
        ok = judged <= limit and agreed == 1.0
        return Parity(path, output, max(self._worst), float(np.mean(self._mean)), limit, judged, agreed, dice, ok)

    @property
    def _positions(self) -> bool:
        return isinstance(self.kind, Circle | Points)


def compare_files(
    model: Model, files: Sequence[Path], network: Callable[[Array], Outputs] | None = None
) -> list[Parity]:
    """Compare all ways on every file.

    Args:
        model: The exported model.
        files: Encoded pictures of any sizes.
        network: The network as a function of a decoded picture, uint8 [H, W, 3]: output name to value, source frame.

    Raises:
        ImageReadError: A file cannot be decoded.
        BundleError: The model fails.
    """
    ways = ["network-graph", "graph-host"] if network else ["graph-host"]
    size = model.bundle.size
    collected = {(way, name): Deviations(kind, size) for way in ways for name, kind in model.kinds.items()}
    for batch in batched(files, BATCH_SIZE):
        for file, prediction in zip(batch, model.predict_batch(batch), strict=True):
            image = read_image(file)
            raw = graph_outputs(model, image)
            pairs: dict[str, tuple[Outputs, Outputs]] = {"graph-host": (raw, prediction.values)}
            if network:
                pairs["network-graph"] = (network(image), raw)
            for way, (one, other) in pairs.items():
                for name in model.kinds:
                    collected[way, name].add(one[name], other[name], prediction.image_hw)
    return [deviations.judge(way, name) for (way, name), deviations in collected.items()]


def graph_outputs(model: Model, image: Array) -> dict[str, Array]:
    """Outputs of the graph for one raw picture, as any other runtime gets them: output name to value."""
    names = list(model.kinds)
    return {name: value[0] for name, value in zip(names, model.session.run(names, {INPUT: image[None]}), strict=True)}
