"""Leaving the doubtful to a human: a band of scores in which no decision is made."""

from dataclasses import dataclass

import numpy as np

from dermtl.arrays import Array
from dermtl.statistics.operating_point import choose_threshold

POSITIVE, NEGATIVE, ABSTAIN = 1, 0, -1


@dataclass(frozen=True)
class AbstainBand:
    """Negative below ``low``, positive from ``high`` on, no decision between.

    Attributes:
        low: In the units of the scores.
        high: At least ``low``; equal where nothing need be left open.
    """

    low: float
    high: float

    def decide(self, scores: Array) -> Array:
        """1 positive, 0 negative, -1 no decision; int8 of the scores' shape."""
        values = np.asarray(scores, np.float64)
        return np.where(values >= self.high, POSITIVE, np.where(values < self.low, NEGATIVE, ABSTAIN)).astype(np.int8)

    def coverage(self, scores: Array) -> float:
        """Share of the scores on which a decision is made; NaN of none."""
        decided = self.decide(scores) != ABSTAIN
        return float(decided.mean()) if decided.size else float("nan")


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
