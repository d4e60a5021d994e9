"""Whether the ways into a model agree on files: the network, the graph fed raw pictures, and the host's way.

The host's way is what ``predict_batch`` does of encoded files; the graph's is what any other runtime does of decoded
ones. Knows no torch: the network comes as a function, where there is one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dermtl.imaging.affine import Array
from dermtl.imaging.decode import read_image
from dermtl.kinds import Circle, Kind, Mask, Number, Points
from dermtl.runtime.ahead import batched
from dermtl.runtime.bundle import INPUT
from dermtl.runtime.predictor import BATCH_SIZE, Model

Answer = Mapping[str, Array]
DICE = 0.995
# (network against graph, graph against host); see docs/decisions/0003 for why the ways differ.
_LIMITS = {"network-graph": 1e-3, "graph-host": 5e-3}
_CIRCLE_PX = {"network-graph": 0.05, "graph-host": 0.3}


@dataclass
class Agreement:
    """How far one output of two ways is apart, over all files.

    Attributes:
        path: ``network-graph`` or ``graph-host``.
        output: Its name.
        worst: Largest absolute difference; of circles in pixels of the picture.
        mean: Mean absolute difference.
        limit: Largest difference allowed, of ``worst`` between network and graph, and of ``mean`` for the host and for
            masks. For circles it is in pixels of the network's square.
        judged: What the limit is held against.
        agreed: Share of files whose decision is the same: class, labels, or masks at a Dice of 0.995.
        dice: Mean Dice of masks, None of other kinds; at least 0.995 is asked for.
        ok: Within the limit.
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
class _Gaps:
    """Differences of one output, one entry a file."""

    worst: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    square: list[float] = field(default_factory=list)
    dice: list[float] = field(default_factory=list)
    agreed: list[bool] = field(default_factory=list)
    size: float = 1.0


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
    gaps = {(way, name): _Gaps() for way in ways for name in model.kinds}
    for batch in batched(files, BATCH_SIZE):
        for file, prediction in zip(batch, model.predict_batch(batch), strict=True):
            image = read_image(file)
            raw = answer(model, image)
            pairs: dict[str, tuple[Answer, Answer]] = {"graph-host": (raw, prediction.values)}
            if network:
                pairs["network-graph"] = (network(image), raw)
            for way, (one, other) in pairs.items():
                for name, kind in model.kinds.items():
                    scale = model.bundle.size / max(prediction.image_hw) if isinstance(kind, Circle | Points) else 1.0
                    _note(gaps[way, name], kind, one[name], other[name], scale)
    return [_judge(way, name, model.kinds[name], found) for (way, name), found in gaps.items()]


def answer(model: Model, image: Array) -> dict[str, Array]:
    """The graph's answer to one raw picture, as any other runtime would get it: output name to value."""
    names = list(model.kinds)
    return {name: value[0] for name, value in zip(names, model.session.run(names, {INPUT: image[None]}), strict=True)}


def _note(gaps: _Gaps, kind: Kind, one: Array, other: Array, scale: float) -> None:
    gap = np.abs(one - other)
    worst = float(gap.max())
    gaps.worst.append(worst)
    gaps.square.append(worst * scale)
    gaps.mean.append(float(gap.mean()))
    if isinstance(kind, Mask):
        a, b = kind.decide(one), kind.decide(other)
        total = np.count_nonzero(a) + np.count_nonzero(b)
        gaps.dice.append(2 * np.count_nonzero((a == b) & (a > 0)) / total if total else 1.0)
        gaps.agreed.append(gaps.dice[-1] >= DICE)
        return
    if isinstance(kind, Number):
        gaps.size = max(gaps.size, float(np.abs(one).max()))
    first, second = kind.to_json(one), kind.to_json(other)
    gaps.agreed.append(all(first.get(key) == second.get(key) for key in ("label", "labels")))


def _judge(way: str, name: str, kind: Kind, gaps: _Gaps) -> Agreement:
    limit = _CIRCLE_PX[way] if isinstance(kind, Circle | Points) else _LIMITS[way] * gaps.size
    each = gaps.mean if isinstance(kind, Mask) else gaps.square
    judged = float(np.mean(each)) if way == "graph-host" or isinstance(kind, Mask) else max(each)
    dice = float(np.mean(gaps.dice)) if gaps.dice else None
    agreed = float(np.mean(gaps.agreed))
    ok = judged <= limit and (dice is None or dice >= DICE) and (way == "graph-host" or agreed == 1.0)
    return Agreement(way, name, max(gaps.worst), float(np.mean(gaps.mean)), limit, judged, agreed, dice, ok)
