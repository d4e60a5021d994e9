"""Sums of class probabilities up the tree, as one constant matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dermtl.arrays import Array
from dermtl.taxonomy.names import at_level, lineage


@dataclass(frozen=True)
class RollUp:
    """Which classes each node sums.

    Attributes:
        names: U names, parents before their children: the root, every node above a class, every class. Nodes inside a
            class are not among them: nothing is known of them one by one.
        matrix: float32 [K, U] of 0 and 1; ``probability @ matrix`` is the probability of every name. Each name that is
            not a class has the sum of those directly below it.
    """

    names: tuple[str, ...]
    matrix: Array


def roll_up(classes: Sequence[str]) -> RollUp:
    """The sums of training classes.

    Args:
        classes: Names of the K training classes, in the order of the outputs.

    Source: Esteva et al. 2017, the inference algorithm: P(u) is the sum of P(k) over the classes k below u.
    """
    return _roll_up(tuple(classes))


@lru_cache(maxsize=16)
def _roll_up(classes: tuple[str, ...]) -> RollUp:
    lines = [lineage(name) for name in classes]
    places = {name: place for place, name in enumerate(dict.fromkeys(name for line in lines for name in line))}
    matrix = np.zeros((len(classes), len(places)), np.float32)
    for row, line in zip(matrix, lines, strict=True):
        row[[places[name] for name in line]] = 1
    matrix.setflags(write=False)  # it is shared
    return RollUp(tuple(places), matrix)


def level_sums(classes: Sequence[str], level: int) -> tuple[tuple[str, ...], Array]:
    """The nodes of a level, and the place of each training class among them.

    Args:
        classes: Names of the K training classes, in the order of the outputs; none may reach across nodes of the level.
        level: 1 for the nodes below the root, and so on.

    Returns:
        Names of the nodes; int64 [K], the position of each class's node, -1 for a class above the level.
    """
    places = [at_level(name, level) for name in classes]
    nodes = tuple(dict.fromkeys(place for place in places if place is not None))
    return nodes, np.array([-1 if place is None else nodes.index(place) for place in places], np.int64)
