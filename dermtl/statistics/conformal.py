"""Sets of classes that hold the true one as often as promised, whatever the network: split conformal prediction."""

from collections.abc import Sequence

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError

_ROUNDING = 1e-9


def set_threshold(probability: Array, groups: Sequence[str], coverage: float) -> float:
    """The probability from which on a class belongs to a picture's set.

    A set is then every class whose probability is at least that. It holds the true class of a picture of a new group
    with at least the coverage, on average over groups, if new groups are drawn like these. Each group counts once,
    however many records it has; where every group has one record this is the usual rank, ceil((n + 1) * coverage).

    Args:
        probability: float [n], that of the true class, of records that the network did not learn from.
        groups: The group of every record, [n].
        coverage: Above 0 and below 1.

    Raises:
        DataError: So few groups can promise no more than the set of all classes.

    Source: Sadinle, Lei and Wasserman 2019, Least ambiguous set-valued classifiers with bounded error levels; of groups
        Lee, Barber and Willett 2023, Distribution-free inference with hierarchical data.
    """
    names, codes, counts = np.unique(np.asarray(groups, str), return_inverse=True, return_counts=True)
    needed = coverage * (len(names) + 1)  # one place is the new group's own
    if needed > len(names) + _ROUNDING:
        least = int(np.ceil(coverage / (1 - coverage) - _ROUNDING))
        raise DataError(
            f"sets that hold {coverage:g} of the true classes need {least} groups or more, there are {len(names)}",
            hint="promise less, or validate on more",
        )
    order = np.argsort(-np.asarray(probability, np.float64), kind="stable")
    reached = np.cumsum(1.0 / counts[codes][order])
    return float(np.asarray(probability, np.float64)[order][np.searchsorted(reached, needed - _ROUNDING)])
