"""Whether probabilities mean what they say: bins of a reliability diagram, ECE, Brier score, likelihood."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dermtl.arrays import Array

Mass = Literal["equal_mass", "equal_width"]
NUM_BINS = 15
_SMALLEST = 1e-12  # a probability of zero for what happened would cost infinitely much


@dataclass(frozen=True)
class Reliability:
    """Points of a reliability diagram, one a bin that holds a row.

    Attributes:
        predicted: float [b], mean probability.
        observed: float [b], share in which the event took place.
        num: int [b], rows.
    """

    predicted: Array
    observed: Array
    num: Array

    @property
    def ece(self) -> float:
        """Expected calibration error: mean distance of the points from the diagonal, by rows. NaN of none.

        Source: Naeini et al. 2015, Obtaining well calibrated probabilities using Bayesian binning.
        """
        total = self.num.sum()
        return float(np.abs(self.predicted - self.observed) @ self.num / total) if total else float("nan")


def reliability(
    probability: Array, happened: Array, *, num_bins: int = NUM_BINS, bins: Mass = "equal_mass"
) -> Reliability:
    """Bin predictions of an event.

    For several classes the event is "the likeliest class is right" and the probability is that class's.

    Args:
        probability: float [n] in 0..1.
        happened: bool [n].
        num_bins: At most so many.
        bins: ``equal_mass``: as many rows in each, equal probabilities together. ``equal_width``: ranges of
            probability, closed below.
    """
    values, truth = np.asarray(probability, np.float64), np.asarray(happened, np.float64)
    if bins == "equal_mass":
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        middle = (np.cumsum(counts) - counts / 2)[inverse]
        place = (middle * num_bins / max(len(values), 1)).astype(np.int64)
    else:
        place = np.minimum((values * num_bins).astype(np.int64), num_bins - 1)
    num = np.bincount(place, minlength=num_bins)
    held = num > 0
    predicted = np.bincount(place, values, num_bins)[held] / num[held]
    return Reliability(predicted, np.bincount(place, truth, num_bins)[held] / num[held], num[held])


def weighted_ece(probability: Array, happened: Array, *, num_bins: int = NUM_BINS) -> Callable[[Array], float]:
    """Prepare the ECE in bins of equal mass for weights, int [n], how often each row counts; NaN without weight.

    Args:
        probability: float [n] in 0..1.
        happened: bool [n].
        num_bins: At most so many.
    """
    order = np.argsort(probability, kind="stable")
    ordered = np.asarray(probability, np.float64)[order]
    truth = np.asarray(happened, np.float64)[order]
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True)) if len(ordered) else np.empty(0, np.int64)
    values = ordered[ends]

    def ece(weights: Array) -> float:
        weight = np.asarray(weights, np.float64)[order]
        reached = np.cumsum(weight)[ends]
        if not len(reached) or not reached[-1]:
            return float("nan")
        own, hits = np.diff(reached, prepend=0), np.diff(np.cumsum(weight * truth)[ends], prepend=0)
        place = ((reached - own / 2) * num_bins / reached[-1]).astype(np.int64)
        return float(np.abs(np.bincount(place, own * values - hits)).sum() / reached[-1])

    return ece


def ece_if_calibrated(probability: Array, *, num_bins: int = NUM_BINS, draws: int = 200, seed: int = 0) -> float:
    """The ECE that these probabilities would show by chance alone if they were right: it is never zero.

    Args:
        probability: float [n].
        num_bins: Number of bins of equal mass.
        draws: Number of times that all events are simulated.
        seed: Seed of the simulated events.
    """
    generator, values = np.random.default_rng(seed), np.asarray(probability, np.float64)
    found = [reliability(values, generator.random(len(values)) < values, num_bins=num_bins).ece for _ in range(draws)]
    return float(np.mean(found))


def brier_rows(probability: Array, truth: Array) -> Array:
    """The Brier score of every row, 0 best; float [n].

    Args:
        probability: float [n, K], or float [n] of an event.
        truth: int [n], the class; or bool [n].

    Source: Brier 1950: sum over classes of (p - y)^2, 0..2; of an event (p - y)^2, 0..1.
    """
    values = np.asarray(probability, np.float64)
    if values.ndim == 1:
        return np.asarray((values - np.asarray(truth, np.float64)) ** 2)
    target = np.asarray(truth)[:, None] == np.arange(values.shape[1])
    return np.asarray(((values - target) ** 2).sum(axis=1))


def nll_rows(probability: Array, truth: Array) -> Array:
    """Minus the log of the probability of what took place, nats; arguments as of :func:`brier_rows`."""
    values = np.asarray(probability, np.float64)
    if values.ndim == 1:
        right = np.where(np.asarray(truth, bool), values, 1 - values)
    else:
        right = values[np.arange(len(values)), np.asarray(truth, np.int64)]
    return np.asarray(-np.log(np.maximum(right, _SMALLEST)))
