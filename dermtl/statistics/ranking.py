"""What the order of scores tells of a yes or no: the ROC curve and the areas under it.

The rows are sorted once; a curve under other weights is then two cumulative sums.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dermtl.arrays import Array

_LEVEL = 0.8


class Ranking:
    """Rows in the order of their scores.

    Args:
        scores: float [n]; a higher one speaks for the positive.
        positive: bool [n].
    """

    def __init__(self, scores: Array, positive: Array) -> None:
        self._order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
        ordered = np.asarray(scores, np.float64)[self._order]
        self._ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True)) if len(ordered) else np.empty(0, np.int64)
        self._positive = np.asarray(positive, bool)[self._order].astype(np.int64)
        self._thresholds = ordered[self._ends]

    def curve(self, weights: Array | None = None) -> "RocCurve":
        """The curve when every row counts as often as its weight, int [n], says; by default once."""
        weight = np.ones(len(self._order), np.int64) if weights is None else weights[self._order]
        true = np.cumsum(weight * self._positive)[self._ends]
        return RocCurve(self._thresholds, true, np.cumsum(weight)[self._ends] - true)


@dataclass(frozen=True)
class RocCurve:
    """Counts at every threshold; equal scores are one threshold. A score at the threshold is called positive.

    Attributes:
        thresholds: float [t], the distinct scores, descending.
        true_positives: int [t], positives at or above the threshold.
        false_positives: int [t], negatives at or above the threshold.
    """

    thresholds: Array
    true_positives: Array
    false_positives: Array

    @property
    def num_positive(self) -> int:
        """All positives."""
        return int(self.true_positives[-1]) if len(self.true_positives) else 0

    @property
    def num_negative(self) -> int:
        """All negatives."""
        return int(self.false_positives[-1]) if len(self.false_positives) else 0

    @property
    def known(self) -> bool:
        """Whether there is a positive and a negative."""
        return bool(self.num_positive and self.num_negative)

    def auroc(self) -> float:
        """The chance that a positive scores above a negative, ties counting one half; NaN without one of them.

        Source: Mann and Whitney's U / (num_positive * num_negative), here by trapezia under the curve.
        """
        if not self.known:
            return float("nan")
        true, false = self.true_positives, self.false_positives
        twice = false[0] * true[0] + np.dot(false[1:] - false[:-1], true[1:] + true[:-1])
        return float(twice / (2 * self.num_positive * self.num_negative))

    def average_precision(self) -> float:
        """Precision, summed over the thresholds by how much sensitivity each adds; NaN without a positive.

        Source: as scikit-learn's ``average_precision_score``; no interpolation between thresholds.
        """
        if not self.num_positive:
            return float("nan")
        true = self.true_positives
        gained = np.diff(true, prepend=0)
        precision = true / np.maximum(true + self.false_positives, 1)
        return float(np.dot(gained, precision) / self.num_positive)

    def pauc_tpr80_band(self) -> float:
        """Area between the curve and the line at sensitivity 0.8, 0 to 0.2 (by chance 0.02); NaN as the AUROC.

        Source: the score of the ISIC 2024 challenge on Kaggle.
        """
        return self._upper()[0] if self.known else float("nan")

    def auc_sens80_isic(self) -> float:
        """Area under the curve from where sensitivity reaches 0.8, 0 to 1 (by chance 0.18); NaN as the AUROC.

        Source: ``auc_sens_80`` of the ISIC challenges' scorer. Not to be confused with :meth:`pauc_tpr80_band`.
        """
        if not self.known:
            return float("nan")
        band, start = self._upper()
        return band + _LEVEL * (1 - start)

    def areas(self) -> Mapping[str, float]:
        """Every area by its name."""
        return {
            "auroc": self.auroc(),
            "average_precision": self.average_precision(),
            "pauc_tpr80_band": self.pauc_tpr80_band(),
            "auc_sens80_isic": self.auc_sens80_isic(),
        }

    def _upper(self) -> tuple[float, float]:
        """The area above sensitivity 0.8 and under the curve, and the false positive rate where 0.8 is reached."""
        level = _LEVEL * self.num_positive
        first = int(np.searchsorted(self.true_positives, level - 1e-9 * self.num_positive))
        true = self.true_positives[first:].astype(np.float64)
        false = self.false_positives[first:].astype(np.float64)
        before_true, before_false = (
            (self.true_positives[first - 1], self.false_positives[first - 1]) if first else (0, 0)
        )
        start = before_false + (false[0] - before_false) * (level - before_true) / (true[0] - before_true)
        true, false = np.concatenate([[level], true]), np.concatenate([[start], false])
        missed = 2 * self.num_negative - (false[1:] + false[:-1])
        band = np.dot(np.diff(true), missed) / (2 * self.num_positive * self.num_negative)
        return float(band), float(start / self.num_negative)


def auroc(scores: Array, positive: Array) -> float:
    """Area under the ROC curve of float [n] and bool [n]; see :meth:`RocCurve.auroc`."""
    return Ranking(scores, positive).curve().auroc()
