"""Whether a method shows what the network learned: with random weights its maps must come out otherwise.

Pixel by pixel they are compared as published, and that decides. But an eye sees regions, and there maps agree more:
they follow the picture's own contrasts. So regions are compared, too, and a map that would look much alike is marked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dermtl.arrays import Array
from dermtl.explain.methods import Method
from dermtl.explain.score import Score
from dermtl.model.network import build_network
from dermtl.runs.folder import TrainedRun

LIMIT = 0.5  # of a mean rank correlation; above it a method shows the picture more than the network
_CELLS = 16  # regions a side
_SEEDS = (104729, 1299709)  # nobody's: those of a run would give the weights that its training began with


@dataclass(frozen=True)
class Sanity:
    """The outcome for one method.

    Attributes:
        pixels: Mean absolute rank correlation of its maps with those of the same network with random weights.
        regions: The same of means over 16 x 16 regions.
        num: Pairs of maps that were compared.
    """

    pixels: float
    regions: float
    num: int

    @property
    def passed(self) -> bool:
        """Whether its maps may be shown."""
        return self.pixels <= LIMIT

    @property
    def looks_alike(self) -> bool:
        """Whether an eye would find much of its maps with random weights, too."""
        return self.regions > LIMIT


@dataclass(frozen=True)
class Probe:
    """A picture that the check is made on.

    Attributes:
        image: float [1, 3, S, S] in 0..255.
        score: What was explained of it.
        maps: Method to float [S, S].
        inside: bool [S, S], where the picture is, not the padding.
    """

    image: Tensor
    score: Score
    maps: Mapping[str, Array]
    inside: Array


def check_methods(run: TrainedRun, methods: Mapping[str, Method], probes: Sequence[Probe]) -> dict[str, Sanity]:
    """Try every method on networks with random weights.

    Args:
        run: Whose experiment the random networks are built of.
        methods: By name.
        probes: With maps of all these methods; at least one.

    Source: Adebayo et al. 2018, Sanity checks for saliency maps, the test of randomised model parameters.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for seed in _SEEDS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            blank = build_network(run.experiment.backbone, run.plans, pretrained=False).eval()
        for probe in probes:
            other = replace(probe.score, network=blank)
            for name, method in methods.items():
                one, two = probe.maps[name], method(other, probe.image)
                pixels = rank_correlation(one[probe.inside], two[probe.inside])
                found[name].append((abs(pixels), abs(rank_correlation(*_regions(one, two, probe.inside)))))
    means = {name: np.mean(pairs, axis=0).tolist() for name, pairs in found.items()}
    return {name: Sanity(pixels, regions, len(found[name])) for name, (pixels, regions) in means.items()}


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's correlation of float [n] each, ties sharing their mean rank; 0 where either is constant."""
    ranks = np.stack([_ranks(values) for values in (one, other)])
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=1))
    return float(centred[0] @ centred[1] / (spread[0] * spread[1])) if spread.all() else 0.0


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _regions(one: Array, other: Array, inside: Array) -> tuple[Array, Array]:
    """Both maps as means over regions, where more than half of a region is picture."""
    weight = _means(inside.astype(np.float64))
    kept = weight > 0.5
    first, second = (_means(values * inside)[kept] / weight[kept] for values in (one, other))
    return first, second


def _means(values: Array) -> Array:
    """Means of [S, S] over a grid of regions."""
    edges = np.linspace(0, len(values), min(_CELLS, len(values)) + 1).round().astype(int)
    sums = np.add.reduceat(np.add.reduceat(values, edges[:-1], axis=0), edges[:-1], axis=1)
    sizes = np.diff(edges)
    return np.asarray(sums / np.outer(sizes, sizes))
