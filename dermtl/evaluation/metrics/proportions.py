"""Which figures are a share of a count, so that Wilson's interval can stand beside the bootstrap's.

A share of nearly all or none gives a bootstrap interval of no width; Wilson's has one. It takes records as independent.
"""

from collections.abc import Mapping

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.statistics.proportion import Proportion

_HALF = 0.5


def proportions(
    values: Mapping[str, float], table: Mapping[str, Array], probabilities: Probabilities | None
) -> dict[str, Proportion]:
    """The shares among a head's figures.

    Args:
        values: Metric to value.
        table: What was measured, column to [n, ...]: a metric that is the mean of its column of zeros and ones is one.
        probabilities: Probabilities of the head's classes or labels, if it has some: they give accuracy or
            exact match, and sensitivity and specificity of each.

    Returns:
        Metric to hits and count; only metrics whose value is that share.
    """
    counted: dict[str, Proportion] = {}
    for column, numbers in table.items():
        if column in values and numbers.ndim == 1 and np.isin(numbers[~_missing(numbers)], (0.0, 1.0)).all():
            known = numbers[~_missing(numbers)]
            counted[column] = Proportion(int(known.sum()), len(known))
    if probabilities is not None:
        counted |= _decided(probabilities)
    return {
        metric: share
        for metric, share in counted.items()
        if share.num and abs(values.get(metric, float("nan")) - share.value) < 1e-9
    }


def _decided(probabilities: Probabilities) -> dict[str, Proportion]:
    counted: dict[str, Proportion] = {}
    if probabilities.exclusive:
        best = probabilities.values.argmax(axis=1)
        predicted = best[:, None] == np.arange(len(probabilities.names))
        counted["accuracy"] = Proportion(int((predicted & probabilities.truth).sum()), len(probabilities))
    else:
        predicted = probabilities.values >= _HALF
        counted["exact_match"] = Proportion(
            int((predicted == probabilities.truth).all(axis=1).sum()), len(probabilities)
        )
    for index, name in enumerate(probabilities.names):
        decided, true = predicted[:, index], probabilities.truth[:, index]
        counted[f"sensitivity.{name}"] = Proportion(int((decided & true).sum()), int(true.sum()))
        counted[f"specificity.{name}"] = Proportion(int((~decided & ~true).sum()), int((~true).sum()))
    return counted


def _missing(numbers: Array) -> Array:
    return np.isnan(numbers.astype(np.float64))
