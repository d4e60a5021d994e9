"""Two heads that were cut to different classes of one tree, brought to the nodes that both know."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.statistics.confusion import Confusion
from dermtl.statistics.ranking import Ranking
from dermtl.taxonomy.names import ROOT, SUBSET_MARK, is_descendant, lineage
from dermtl.taxonomy.node_sums import roll_up

_REST = f"{SUBSET_MARK}rest"  # holds what was rare where it was trained, so it is another thing in another cut


@dataclass(frozen=True)
class CommonNodes:
    """What two cuts of a tree have in common.

    Attributes:
        names: The finest nodes, none below another, that every class of both lies in. One that a single cut knows, of
            which the other model has no class, gets probability 0 there.
        shared: Every node that is in both, those above ``names`` among them.
    """

    names: tuple[str, ...]
    shared: tuple[str, ...]

    @classmethod
    def of(cls, first: Sequence[str], second: Sequence[str]) -> "CommonNodes":
        """Find what the classes of two heads have in common.

        Raises:
            DataError: The classes have no node in common but the root, or too few to tell apart.
        """
        known = set(roll_up(second).names)
        shared = tuple(name for name in roll_up(first).names if name in known and name != ROOT and _REST not in name)
        deepest = dict.fromkeys(_deepest(name, shared) for name in (*first, *second))
        names = tuple(
            name for name in deepest if not any(name != other and is_descendant(name, other) for other in deepest)
        )
        if not shared or len(names) < 2 or ROOT in deepest:
            what = f"have {', '.join(shared) or 'no node of a tree'} in common"
            hint = "compare heads whose classes come from one taxonomy, or evaluate both with the same classes"
            raise DataError(f"the classes {_listed(first)} and {_listed(second)} {what}", hint=hint)
        return cls(names, shared)

    def place(self, name: str) -> int:
        """Which of ``names`` a class of either head lies in."""
        return next(index for index, node in enumerate(self.names) if is_descendant(name, node))

    def sums(self, classes: Sequence[str], probability: Array, nodes: Sequence[str]) -> Array:
        """Probabilities of nodes, float64 [n, nodes], from those of classes, float [n, K]."""
        below = np.array([[is_descendant(name, node) for node in nodes] for name in classes], np.float64)
        return np.asarray(probability, np.float64) @ below


def node_metrics(
    common: CommonNodes, decided: Array, ranked: Array, truth: Array, holds: Array
) -> Callable[[Array], Mapping[str, float]]:
    """Prepare the figures of one model.

    Args:
        common: The nodes.
        decided: int [n], the likeliest of ``names``.
        ranked: float [n, shared].
        truth: int [n], the true one of ``names``.
        holds: bool [n, shared].

    Returns:
        Weights, int [n], to ``balanced_accuracy``, ``accuracy``, ``macro_auroc`` (of the finest nodes that both have),
        ``sensitivity.<node>`` of the finest nodes, ``auroc.<node>`` of all that both have; means are over those that
        occur.
    """
    rankings = [Ranking(ranked[:, index], holds[:, index]) for index in range(len(common.shared))]
    finest = np.isin(common.shared, common.names)

    def per_node(weights: Array) -> tuple[Confusion, Array, Array]:
        table = Confusion.of(truth, decided, len(common.names), weights)
        return table, table.sensitivity(), np.array([ranking.curve(weights).auroc() for ranking in rankings])

    _, sensitivity, auroc = per_node(np.ones(len(truth), np.int64))
    occurs, is_ranked = np.isfinite(sensitivity), np.isfinite(auroc) & finest

    def figures(weights: Array) -> Mapping[str, float]:
        table, sensitivity, auroc = per_node(weights)
        return {
            "balanced_accuracy": float(sensitivity[occurs].mean()) if occurs.any() else float("nan"),
            "accuracy": table.accuracy(),
            "macro_auroc": float(auroc[is_ranked].mean()) if is_ranked.any() else float("nan"),
            **{f"sensitivity.{node}": float(value) for node, value in zip(common.names, sensitivity, strict=True)},
            **{f"auroc.{node}": float(value) for node, value in zip(common.shared, auroc, strict=True)},
        }

    return figures


def _deepest(name: str, shared: Sequence[str]) -> str:
    """The finest shared node that a class lies in; without, its own node below the root, or the root itself."""
    line = lineage(name)
    alone = line[1] if len(line) > 1 and _REST not in line[1] else ROOT
    return next((node for node in reversed(line) if node in shared), alone)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
