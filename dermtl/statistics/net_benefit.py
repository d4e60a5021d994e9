"""What a threshold means for patients: predictive values where a disease is rarer, and net benefit."""

from dataclasses import dataclass
from math import nan

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import InputError


def predictive_values(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """PPV and NPV at a prevalence other than that of the pictures, all in 0..1; NaN where nobody is called so.

    Raises:
        InputError: The prevalence is not in 0..1.

    Source: Bayes' rule, PPV = se pi / (se pi + (1 - sp) (1 - pi)).
    """
    if not 0 <= prevalence <= 1:
        raise InputError(f"expected a prevalence in 0..1, got {prevalence:g}")
    ill, well = prevalence, 1 - prevalence
    called = sensitivity * ill + (1 - specificity) * well
    passed = specificity * well + (1 - sensitivity) * ill
    return (sensitivity * ill / called if called else nan), (specificity * well / passed if passed else nan)


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of acting on probabilities, in true positives a row; acting on nobody has 0.

    Attributes:
        thresholds: float [t], the probability from which one acts.
        model: float [t], acting where the model says at least that.
        treat_all: float [t], acting on everybody.
    """

    thresholds: Array
    model: Array
    treat_all: Array


def decision_curve(probability: Array, positive: Array, thresholds: Array) -> DecisionCurve:
    """Net benefit at every threshold.

    Args:
        probability: float [n] in 0..1, calibrated.
        positive: bool [n].
        thresholds: float [t] in 0..1, without 1.

    Raises:
        InputError: A threshold is not in 0..1, or there is no row.

    Source: Vickers and Elkin 2006, Decision curve analysis: TP / n - FP / n * t / (1 - t).
    """
    at, truth = np.asarray(thresholds, np.float64), np.asarray(positive, bool)
    if not len(truth) or ((at < 0) | (at >= 1)).any():
        raise InputError("expected rows, and thresholds from 0 to below 1")
    called = np.asarray(probability, np.float64)[None] >= at[:, None]
    odds = at / (1 - at)
    benefit = (called & truth).mean(axis=1) - (called & ~truth).mean(axis=1) * odds
    return DecisionCurve(at, benefit, truth.mean() - (1 - truth.mean()) * odds)
