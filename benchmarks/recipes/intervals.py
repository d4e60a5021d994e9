"""Paired differences on the same pictures, with a 95% interval from resampling whole groups."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def draws(groups: Sequence[str], strata: Sequence[str], num: int, seed: int = 0) -> list[NDArray[np.int64]]:
    """Resamples of pictures, whole groups at a time.

    Args:
        groups: The group of every picture.
        strata: The class of every picture. As many groups of each class are drawn as there are, so that no class is
            lost; a group counts to the class of its first picture.
        num: Number of resamples.
        seed: Seed of the random generator.

    Returns:
        Indices of pictures, an array for each resample.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    by_stratum: dict[str, list[NDArray[np.int64]]] = defaultdict(list)
    for indices in members.values():
        by_stratum[strata[indices[0]]].append(np.array(indices))
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(num):
        parts = [
            clusters[index]
            for clusters in by_stratum.values()
            for index in generator.integers(len(clusters), size=len(clusters))
        ]
        drawn.append(np.concatenate(parts))
    return drawn


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 2.5th and the 97.5th percentile."""
    low, high = np.percentile(np.asarray(values, float), [2.5, 97.5]).tolist()
    return low, high


def mean(values: Sequence[Any]) -> float:
    """The mean as a Python number."""
    return float(np.mean(values))
