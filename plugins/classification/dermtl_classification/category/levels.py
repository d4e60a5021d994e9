"""Metrics at a level of the taxonomy, whose nodes have the sums of their classes' probabilities. NumPy only."""

from collections.abc import Callable, Sequence

import numpy as np

from dermtl.api import Array
from dermtl.statistics import Confusion
from dermtl.taxonomy import level_sums
from dermtl_classification.per_class import Macro, areas, named


def level_figures(
    classes: Sequence[str], level: int, probability: Array, truth: Array
) -> Callable[[Array], dict[str, float]]:
    """Prepare the metrics of one level, at which the most probable node is predicted.

    A record whose class is above the level has no truth at that level and does not count.

    Args:
        classes: Names of the K training classes; each is below one node of the level, or above the level.
        level: 1 for the nodes below the root, and so on.
        probability: float [n, K] of the classes.
        truth: int [n], index of the class.

    Returns:
        Function from weights, int [n], to ``level1_balanced_accuracy`` and so on; empty for a level with one node.

    Source: Esteva et al. 2017: the accuracy at a level is the mean of the accuracies of its nodes.
    """
    nodes, places = level_sums(classes, level)
    if len(nodes) < 2:
        return lambda weights: {}
    known = places[truth] >= 0
    true = places[truth][known]
    sums = probability[known] @ (places[:, None] == np.arange(len(nodes))).astype(np.float64)
    decided = sums.argmax(axis=1)
    ranked = areas(sums, true[:, None] == np.arange(len(nodes)))

    def per_node(weights: Array) -> tuple[Confusion, dict[str, Array]]:
        table = Confusion.of(true, decided, len(nodes), weights)
        return table, {"sensitivity": table.sensitivity(), "auroc": ranked(weights)["auroc"]}

    macro = Macro(per_node(np.ones(len(true), np.int64))[1])

    def figures(weights: Array) -> dict[str, float]:
        table, found = per_node(weights[known])
        means = {
            "balanced_accuracy": macro.mean("sensitivity", found["sensitivity"]),
            "accuracy": table.accuracy(),
            "macro_auroc": macro.mean("auroc", found["auroc"]),
        }
        return {f"level{level}_{metric}": value for metric, value in {**means, **named(found, nodes)}.items()}

    return figures
