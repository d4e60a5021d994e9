"""Whether the ways into a model agree: the network, the graph fed raw pictures, and the host's way.

The host's way is what ``predict_batch`` does of encoded files; the graph's is what any other runtime does of decoded
ones. All letterbox alike, bit by bit, so what is left is floating-point noise, and one limit holds for all. Knows no
torch: the network comes as a function, where there is one.
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

Answer = Mapping[str, Array]
DICE = 0.995
LIMIT = 1e-4
LIMIT_PX = 0.05


@dataclass
class Agreement:
    """How far one output of two ways is apart, over all pictures.

    Attributes:
        path: The two ways; ``golden`` is what the network answered when the file was exported.
        output: Its name.
        worst: Largest absolute difference; of positions in pixels of the picture.
        mean: Mean absolute difference.
        limit: Largest difference allowed: 1e-4, of numbers relative to the largest; of positions 0.05 pixels of the
            network's square.
        judged: What the limit is held against: ``worst``, of positions in pixels of the network's square.
        agreed: Share of pictures whose decision is the same: class, labels, or masks at a Dice of 0.995.
        dice: Mean Dice of masks, None of other kinds.
        ok: Within the limit, and every decision the same.
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
class Gaps:
    """Differences of one output, one entry a picture.

    Attributes:
        kind: The output's.
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
        """Note what two ways give for a picture, both in the source frame."""
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

    def judge(self, path: str, output: str) -> Agreement:
        """What they come to."""
        limit = LIMIT_PX if self._positions else LIMIT * self._largest
        judged, agreed = max(self._judged), float(np.mean(self._agreed))
        dice = float(np.mean(self._dice)) if self._dice else None
        ok = judged <= limit and agreed == 1.0
        return Agreement(path, output, max(self._worst), float(np.mean(self._mean)), limit, judged, agreed, dice, ok)

    @property
    def _positions(self) -> bool:
        return isinstance(self.kind, Circle | Points)


def compare_files(
    model: Model, files: Sequence[Path], network: Callable[[Array], Answer] | None = None
) -> list[Agreement]:
    """Take every file through every way and compare.

    Args:
        model: The exported model.
        files: Encoded pictures of any sizes.
        network: The network's answer to a decoded picture, uint8 [H, W, 3]: output name to value, source frame.

    Raises:
        ImageReadError: A file cannot be decoded.
        BundleError: The model fails.
    """
    ways = ["network-graph", "graph-host"] if network else ["graph-host"]
    size = model.bundle.size
    gaps = {(way, name): Gaps(kind, size) for way in ways for name, kind in model.kinds.items()}
    for batch in batched(files, BATCH_SIZE):
        for file, prediction in zip(batch, model.predict_batch(batch), strict=True):
            image = read_image(file)
            raw = graph_outputs(model, image)
            pairs: dict[str, tuple[Answer, Answer]] = {"graph-host": (raw, prediction.values)}
            if network:
                pairs["network-graph"] = (network(image), raw)
            for way, (one, other) in pairs.items():
                for name in model.kinds:
                    gaps[way, name].add(one[name], other[name], prediction.image_hw)
    return [found.judge(way, name) for (way, name), found in gaps.items()]


def graph_outputs(model: Model, image: Array) -> dict[str, Array]:
    """Outputs of the graph for one raw picture, as any other runtime gets them: output name to value."""
    names = list(model.kinds)
    return {name: value[0] for name, value in zip(names, model.session.run(names, {INPUT: image[None]}), strict=True)}
