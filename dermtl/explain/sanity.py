"""The sanity check of explanation methods: with random weights a method must give other maps.

Maps are compared pixel by pixel, as published, and this decides. But readers see regions, and regions agree more, since
they follow the contrasts of the picture. So regions are compared as well, and similar looking maps are marked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from dermtl.arrays import Array
from dermtl.explain.methods import Method
from dermtl.explain.score import Score
from dermtl.model.network import build_network
from dermtl.runs.folder import TrainedRun

LIMIT = 0.5  # largest mean rank correlation; above it a method shows the picture more than the network
_CELLS = 16  # regions along each side
_SEEDS = (104729, 1299709)  # arbitrary; a run's own seed would give the weights that its training began with


@dataclass(frozen=True)
class Sanity:
    """The outcome for one method.

    Attributes:
        pixels: Mean absolute rank correlation of its maps with those of the same network with random weights.
        regions: The same correlation of means over 16 x 16 regions.
        num: Number of pairs of maps that were compared.
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
        """Whether maps of random weights look similar to its maps."""
        return self.regions > LIMIT


@dataclass(frozen=True)
class CheckedPicture:
    """A picture for the check, with its maps.

    Attributes:
        image: float [1, 3, S, S] in 0..255.
        score: The score that was explained.
        maps: Method to float [S, S].
        picture_mask: bool [S, S], the pixels that belong to the picture, not to the padding.
    """

    image: Tensor
    score: Score
    maps: Mapping[str, Array]
    picture_mask: Array


def check_methods(
    run: TrainedRun, methods: Mapping[str, Method], pictures: Sequence[CheckedPicture]
) -> dict[str, Sanity]:
    """Check every method on networks with random weights.

    Args:
        run: The run; the random networks are built from its experiment.
        methods: Name to method.
        pictures: Pictures with maps of all these methods; at least one.

    Source: Adebayo et al. 2018, Sanity checks for saliency maps, the test of randomised model parameters.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for seed in _SEEDS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            blank = build_network(run.experiment.backbone, run.plans, pretrained=False).eval()
        for picture in pictures:
            other, mask = replace(picture.score, network=blank), picture.picture_mask
            for name, method in methods.items():
                one, two = picture.maps[name], method(other, picture.image)
                pixels, regions = rank_correlation(one[mask], two[mask]), rank_correlation(*_regions(one, two, mask))
                found[name].append((abs(pixels), abs(regions)))
    means = {name: np.mean(pairs, axis=0).tolist() for name, pairs in found.items()}
    return {name: Sanity(pixels, regions, len(found[name])) for name, (pixels, regions) in means.items()}


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's rank correlation of two float [n]; 0 if one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one, other).statistic)


def _regions(one: Array, other: Array, picture_mask: Array) -> tuple[Array, Array]:
    """Both maps as means over the regions that are picture for more than a half."""
    weight = _means(picture_mask.astype(np.float64))
    shown = weight > 0.5
    first, second = (_means(values * picture_mask)[shown] / weight[shown] for values in (one, other))
    return first, second


def _means(values: Array) -> Array:
    """Means of [S, S] over a grid of regions."""
    edges = np.linspace(0, len(values), min(_CELLS, len(values)) + 1).round().astype(int)
    sums = np.add.reduceat(np.add.reduceat(values, edges[:-1], axis=0), edges[:-1], axis=1)
    sizes = np.diff(edges)
    return np.asarray(sums / np.outer(sizes, sizes))
