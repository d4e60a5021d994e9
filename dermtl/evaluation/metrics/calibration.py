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
    probabilities: Probabilities, frozen: Decisions, groups: Sequence[str], *, resamples: int = 2000
) -> dict[str, Any]:
    """Whether the probabilities of one head are calibrated.

    Args:
        probabilities: As the model gives them, the temperature applied.
        frozen: The model's temperatures, decisions and sets.
        groups: The group of every record, [m].
        resamples: Number of bootstrap resamples.

    Returns:
        ``temperature``; ``figures`` of the likeliest class (or of every label): brier, nll, ece, slope, intercept,
        in_the_large, each with interval; ``before``: the same without the temperature, values alone; ``ece_by_chance``;
        ``bins`` of the reliability diagram; ``questions``: name to figures and bins; ``set``, where the head has sets:
        :func:`~dermtl.evaluation.decisions.class_sets.class_set_metrics`. None is not estimable.
    """
    temperature, events = frozen.temperatures.get(probabilities.head), probabilities.events()
    class_set = frozen.set_of(probabilities.head)
    return {
        "temperature": temperature,
        "figures": with_intervals(_all(probabilities), groups, resamples=resamples),
        "before": None if temperature is None else _values(probabilities.tempered(1.0 / temperature)),
        "ece_by_chance": ece_if_calibrated(events.probability),
        "bins": _bins(events),
        "questions": {
            decision.name: _of_decision(probabilities.events_of(decision.positive), groups, resamples)
            for decision in frozen.of(probabilities.head)
        },
        "set": None if class_set is None else class_set_metrics(class_set, probabilities, groups, resamples=resamples),
    }


def _of_decision(events: Events, groups: Sequence[str], resamples: int) -> dict[str, Any]:
    figures = with_intervals(_fit(events), groups, resamples=resamples)
    return {"figures": figures, "ece_by_chance": ece_if_calibrated(events.probability), "bins": _bins(events)}


def _values(probabilities: Probabilities) -> dict[str, float | None]:
    values = _all(probabilities)(np.ones(len(probabilities), np.int64))
    return {name: finite_or_none(value) for name, value in values.items()}


def _all(probabilities: Probabilities) -> Figures:
    """Scores, calibration error and line, under weights of the records."""
    events = probabilities.events()
    means, fit, per_record = (
        weighted_means(_rows(probabilities)),
        _fit(events),
        len(events.happened) // len(probabilities),
    )

    def figures(weights: Array) -> Mapping[str, float]:
        return {**means(weights), **fit(np.repeat(weights, per_record) if per_record > 1 else weights)}

    return figures


def _rows(probabilities: Probabilities) -> dict[str, Array]:
    if probabilities.exclusive:
        truth = probabilities.truth.argmax(axis=1)
        return {"brier": brier_rows(probabilities.values, truth), "nll": nll_rows(probabilities.values, truth)}
    events = probabilities.events()
    rows = {"brier": brier_rows(events.probability, events.happened)}
    rows["nll"] = nll_rows(events.probability, events.happened)
    return {name: values.reshape(len(probabilities), -1).mean(axis=1) for name, values in rows.items()}


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
    bins = reliability(events.probability, events.happened)
    columns = zip(bins.predicted.tolist(), bins.observed.tolist(), bins.num.tolist(), strict=True)
    return [{"predicted": p, "observed": o, "n": n} for p, o, n in columns]
