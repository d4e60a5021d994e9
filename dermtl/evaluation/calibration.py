"""Whether a head's probabilities mean what they say, before and after its temperature, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dermtl.evaluation.probabilities import Probabilities
from dermtl.evaluation.stated import known, state
from dermtl.evaluation.statistics.calibration import calibration_line
from dermtl.evaluation.statistics.means import weighted_means
from dermtl.evaluation.statistics.reliability import brier_rows, ece_if_calibrated, nll_rows, reliability
from dermtl.imaging.affine import Array
from dermtl.runtime.decision import Decision

_RESAMPLES = 400  # at most, of what sorts or takes a regression each


def calibration_figures(
    found: Probabilities,
    temperature: float | None,
    decisions: Sequence[Decision],
    groups: Sequence[str],
    *,
    resamples: int = 2000,
) -> dict[str, Any]:
    """The figures of one head.

    Args:
        found: As the model gives them, the temperature applied.
        temperature: None where the head has none.
        decisions: Its questions; each gets a calibration of its own.
        groups: The group of every record, [m].
        resamples: Of the clustered bootstrap; at most 400 for ECE, slope and intercept.

    Returns:
        ``temperature``; ``figures`` of the likeliest class (or of every label): ece, brier, nll, slope, intercept,
        in_the_large, each with interval; ``before``: the same without the temperature, values alone; ``ece_by_chance``;
        ``bins`` of the reliability diagram; ``questions``: name to figures and bins. None is not estimable.
    """
    return {
        "temperature": temperature,
        "figures": _with_intervals(found, groups, resamples),
        "before": None if temperature is None else _values(found.tempered(1.0 / temperature)),
        "ece_by_chance": ece_if_calibrated(found.events()[0]),
        "bins": _bins(*found.events()),
        "questions": {decision.name: _question(found, decision, groups, resamples) for decision in decisions},
    }


def _with_intervals(found: Probabilities, groups: Sequence[str], resamples: int) -> dict[str, Any]:
    predicted, happened = found.events()
    per_row = len(predicted) // len(found)
    scores = weighted_means(_rows(found))

    def costly(weights: Array) -> dict[str, float]:
        return _fit(predicted, happened, np.repeat(weights, per_row))

    return state(scores, groups, resamples=resamples) | state(costly, groups, resamples=min(resamples, _RESAMPLES))


def _question(found: Probabilities, decision: Decision, groups: Sequence[str], resamples: int) -> dict[str, Any]:
    scores, truth = np.clip(found.score(decision.positive), 0.0, 1.0), found.holds(decision.positive)
    figures = state(lambda weights: _fit(scores, truth, weights), groups, resamples=min(resamples, _RESAMPLES))
    return {"figures": figures, "ece_by_chance": ece_if_calibrated(scores), "bins": _bins(scores, truth)}


def _values(found: Probabilities) -> dict[str, float | None]:
    predicted, happened = found.events()
    means = {name: float(values.mean()) for name, values in _rows(found).items()}
    values = {**means, **_fit(predicted, happened, np.ones(len(predicted), np.int64))}
    return {name: known(value) for name, value in values.items()}


def _rows(found: Probabilities) -> dict[str, Array]:
    if found.exclusive:
        truth = found.truth.argmax(axis=1)
        return {"brier": brier_rows(found.values, truth), "nll": nll_rows(found.values, truth)}
    predicted, happened = found.events()
    rows = {"brier": brier_rows(predicted, happened), "nll": nll_rows(predicted, happened)}
    return {name: values.reshape(len(found), -1).mean(axis=1) for name, values in rows.items()}


def _fit(predicted: Array, happened: Array, weights: Array) -> dict[str, float]:
    """Calibration error and line where every row counts as often as its weight says."""
    chosen = np.repeat(np.arange(len(weights)), weights)
    line = calibration_line(predicted[chosen], happened[chosen])
    ece = reliability(predicted[chosen], happened[chosen]).ece
    return {"ece": ece, "slope": line.slope, "intercept": line.intercept, "in_the_large": line.in_the_large}


def _bins(predicted: Array, happened: Array) -> list[dict[str, float]]:
    found = reliability(predicted, happened)
    columns = zip(found.predicted.tolist(), found.observed.tolist(), found.num.tolist(), strict=True)
    return [{"predicted": p, "observed": o, "n": n} for p, o, n in columns]
