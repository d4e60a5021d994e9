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
    values: Mapping[str, float], table: Mapping[str, Array], found: Probabilities | None
) -> dict[str, Proportion]:
    """The shares among a head's figures.

    Args:
        values: Metric to value.
        table: What was measured, column to [n, ...]: a metric that is the mean of its column of zeros and ones is one.
        found: The head's probabilities, where it has some: accuracy, and each class's sensitivity and specificity.

    Returns:
        Metric to hits and count; only metrics whose value is that share.
    """
    counted: dict[str, Proportion] = {}
    for column, numbers in table.items():
        if column in values and numbers.ndim == 1 and np.isin(numbers[~_missing(numbers)], (0.0, 1.0)).all():
            known = numbers[~_missing(numbers)]
            counted[column] = Proportion(int(known.sum()), len(known))
    if found is not None:
        counted |= _decided(found)
    return {
        metric: share
        for metric, share in counted.items()
        if share.num and abs(values.get(metric, float("nan")) - share.value) < 1e-9
    }


def _decided(found: Probabilities) -> dict[str, Proportion]:
    counted: dict[str, Proportion] = {}
    if found.exclusive:
        best = found.values.argmax(axis=1)
        called = best[:, None] == np.arange(len(found.names))
        counted["accuracy"] = Proportion(int((called & found.truth).sum()), len(found))
    else:
        called = found.values >= _HALF
        counted["exact_match"] = Proportion(int((called == found.truth).all(axis=1).sum()), len(found))
    for index, name in enumerate(found.names):
        decided, true = called[:, index], found.truth[:, index]
        counted[f"sensitivity.{name}"] = Proportion(int((decided & true).sum()), int(true.sum()))
        counted[f"specificity.{name}"] = Proportion(int((~decided & ~true).sum()), int((~true).sum()))
    return counted


def _missing(numbers: Array) -> Array:
    return np.isnan(numbers.astype(np.float64))
