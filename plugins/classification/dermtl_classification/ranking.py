"""Statistics both heads' metrics share. NumPy only; NaN is "not estimable", never zero."""

from collections.abc import Iterable

import numpy as np

from dermtl.api import Array


def auroc(scores: Array, positive: Array) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting one half.

    Args:
        scores: float [n].
        positive: bool [n].

    Returns:
        0..1, or NaN without a positive or without a negative.

    Source: Mann and Whitney's U from mid-ranks, U / (num_positive * num_negative).
    """
    num_positive = int(positive.sum())
    num_negative = len(positive) - num_positive
    if not num_positive or not num_negative:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mid_ranks[inverse][positive].sum())
    return (rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative)


def share(hits: Array, among: Array) -> float:
    """Share of ``hits`` where ``among`` holds, both bool [n]; NaN where it holds nowhere."""
    return float(hits[among].mean()) if among.any() else float("nan")


def mean_known(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN where all are."""
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else float("nan")
