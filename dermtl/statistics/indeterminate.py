"""Leaving the doubtful to a human: a band of scores in which no decision is made."""

from dataclasses import dataclass

from dermtl.arrays import Array
from dermtl.statistics.operating_point import choose_threshold


@dataclass(frozen=True)
class AbstainBand:
    """Negative below ``low``, positive from ``high`` on, no decision between.

    Attributes:
        low: In the units of the scores.
        high: At least ``low``; equal where nothing need be left open.
    """

    low: float
    high: float


def choose_band(scores: Array, positive: Array, *, sensitivity: float = 0.95, specificity: float = 0.95) -> AbstainBand:
    """The narrowest band, from validation scores: few positives below it, few negatives above it.

    Args:
        scores: float [n], finite.
        positive: bool [n].
        sensitivity: Share of the positives that are not called negative.
        specificity: Share of the negatives that are not called positive.

    Raises:
        DataError: As :func:`choose_threshold`.
    """
    low = choose_threshold(scores, positive, f"sensitivity>={sensitivity}").threshold
    high = choose_threshold(scores, positive, f"specificity>={specificity}").threshold
    return AbstainBand(low, max(low, high))
