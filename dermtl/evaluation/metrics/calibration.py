"""Whether a head's probabilities mean what they say, before and after its temperature, with intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import nan
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.decisions.class_sets import class_set_metrics
from dermtl.evaluation.metrics.estimates import with_intervals
from dermtl.evaluation.predict.probabilities import Events, Probabilities
from dermtl.runtime.decision import Decisions
from dermtl.statistics.calibration_line import CalibrationLine, weighted_line
from dermtl.statistics.finite import finite_or_none
from dermtl.statistics.means import weighted_means
from dermtl.statistics.reliability import (
    brier_rows,
    ece_if_calibrated,
    nll_rows,
    reliability,
    weighted_ece,
)

MIN_EITHER = 10  # events, and others, of which a line is estimable
_UNKNOWN = CalibrationLine(nan, nan, nan)
Figures = Callable[[Array], Mapping[str, float]]


def calibration_metrics(
    found: Probabilities, settled: Decisions, groups: Sequence[str], *, resamples: int = 2000
) -> dict[str, Any]:
    """The figures of one head.

    Args:
        found: As the model gives them, the temperature applied.
        settled: The model's temperatures, questions and sets.
        groups: The group of every record, [m].
        resamples: Of the clustered bootstrap.

    Returns:
        ``temperature``; ``figures`` of the likeliest class (or of every label): brier, nll, ece, slope, intercept,
        in_the_large, each with interval; ``before``: the same without the temperature, values alone; ``ece_by_chance``;
        ``bins`` of the reliability diagram; ``questions``: name to figures and bins; ``set``, where the head has sets:
        :func:`~dermtl.evaluation.decisions.class_sets.class_set_metrics`. None is not estimable.
    """
    temperature, events = settled.temperatures.get(found.head), found.events()
    kept = settled.set_of(found.head)
    return {
        "temperature": temperature,
        "figures": with_intervals(_all(found), groups, resamples=resamples),
        "before": None if temperature is None else _values(found.tempered(1.0 / temperature)),
        "ece_by_chance": ece_if_calibrated(events.probability),
        "bins": _bins(events),
        "questions": {
            decision.name: _question(found.events_of(decision.positive), groups, resamples)
            for decision in settled.of(found.head)
        },
        "set": None if kept is None else class_set_metrics(kept, found, groups, resamples=resamples),
    }


def _question(events: Events, groups: Sequence[str], resamples: int) -> dict[str, Any]:
    figures = with_intervals(_fit(events), groups, resamples=resamples)
    return {"figures": figures, "ece_by_chance": ece_if_calibrated(events.probability), "bins": _bins(events)}


def _values(found: Probabilities) -> dict[str, float | None]:
    values = _all(found)(np.ones(len(found), np.int64))
    return {name: finite_or_none(value) for name, value in values.items()}


def _all(found: Probabilities) -> Figures:
    """Scores, calibration error and line, under weights of the records."""
    events = found.events()
    means, fit, per_record = weighted_means(_rows(found)), _fit(events), len(events.happened) // len(found)

    def figures(weights: Array) -> Mapping[str, float]:
        return {**means(weights), **fit(np.repeat(weights, per_record) if per_record > 1 else weights)}

    return figures


def _rows(found: Probabilities) -> dict[str, Array]:
    if found.exclusive:
        truth = found.truth.argmax(axis=1)
        return {"brier": brier_rows(found.values, truth), "nll": nll_rows(found.values, truth)}
    events = found.events()
    rows = {"brier": brier_rows(events.probability, events.happened)}
    rows["nll"] = nll_rows(events.probability, events.happened)
    return {name: values.reshape(len(found), -1).mean(axis=1) for name, values in rows.items()}


def _fit(events: Events) -> Figures:
    """Calibration error and line under weights of the events; of fewer than ten of either no line is estimable."""
    num = int(events.happened.sum())
    few = min(num, len(events.happened) - num) < MIN_EITHER
    ece, line = weighted_ece(events.probability, events.happened), weighted_line(events.odds, events.happened)

    def figures(weights: Array) -> Mapping[str, float]:
        fitted = _UNKNOWN if few else line(weights)
        return {"ece": ece(weights), **asdict(fitted)}

    return figures


def _bins(events: Events) -> list[dict[str, float]]:
    found = reliability(events.probability, events.happened)
    columns = zip(found.predicted.tolist(), found.observed.tolist(), found.num.tolist(), strict=True)
    return [{"predicted": p, "observed": o, "n": n} for p, o, n in columns]
