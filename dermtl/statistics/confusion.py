"""Counts of decided against true classes, and what they sum up to."""

from dataclasses import dataclass

import numpy as np

from dermtl.arrays import Array
from dermtl.statistics.ratio import ratio


@dataclass(frozen=True)
class Confusion:
    """A table of counts.

    Attributes:
        counts: float64 [K, K], rows the true class, columns the decided one.
    """

    counts: Array

    @classmethod
    def of(cls, truth: Array, decided: Array, num_classes: int, weights: Array | None = None) -> "Confusion":
        """Count class indices, int [n] both, each row as often as its weight, int [n], says."""
        codes = np.asarray(truth, np.int64) * num_classes + np.asarray(decided, np.int64)
        counts = np.bincount(codes, weights, minlength=num_classes**2).astype(np.float64)
        return cls(counts.reshape(num_classes, num_classes))

    @property
    def num(self) -> float:
        """How many rows."""
        return float(self.counts.sum())

    def accuracy(self) -> float:
        """Share decided right."""
        return float(ratio(np.trace(self.counts), self.num))

    def sensitivity(self) -> Array:
        """[K]: of a class's rows, the share decided for it; NaN of an absent class. The mean is balanced accuracy."""
        return ratio(np.diag(self.counts), self.counts.sum(axis=1))

    def specificity(self) -> Array:
        """[K]: of the other classes' rows, the share not decided for it; NaN where there are none."""
        others = self.num - self.counts.sum(axis=1)
        return ratio(others - self.counts.sum(axis=0) + np.diag(self.counts), others)

    def f1(self) -> Array:
        """[K]: harmonic mean of sensitivity and precision, 2 TP / (2 TP + FP + FN); NaN of an absent class."""
        true = self.counts.sum(axis=1)
        return np.asarray(np.where(true > 0, ratio(2 * np.diag(self.counts), true + self.counts.sum(axis=0)), np.nan))

    def kappa(self) -> float:
        """Agreement beyond chance, -1..1, unweighted; NaN where chance alone agrees always.

        Source: Cohen 1960, A coefficient of agreement for nominal scales.
        """
        by_chance = self.counts.sum(axis=1) @ self.counts.sum(axis=0)
        return float(ratio(np.trace(self.counts) * self.num - by_chance, self.num**2 - by_chance))

    def mcc(self) -> float:
        """Matthews' correlation of decided and true class, -1..1; NaN where either is one class only.

        Source: Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient.
        """
        true, decided = self.counts.sum(axis=1), self.counts.sum(axis=0)
        covariance = np.trace(self.counts) * self.num - true @ decided
        spread = (self.num**2 - true @ true) * (self.num**2 - decided @ decided)
        return float(ratio(covariance, np.sqrt(spread)))
