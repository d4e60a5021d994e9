"""What is fitted on validation and then frozen: temperatures of heads, thresholds of decisions, sets of classes.

Takes probabilities, never a split's name: the caller sees to it that they are the validation's.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dermtl.errors import DataError
from dermtl.evaluation.decisions.class_sets import fit_class_set
from dermtl.evaluation.decisions.rule import Rules
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.plugins.decision_rule import DecisionRule
from dermtl.runtime.class_set import ClassSet
from dermtl.runtime.decision import Decision, Decisions
from dermtl.statistics.indeterminate import choose_band
from dermtl.statistics.operating_point import choose_threshold, just_below
from dermtl.statistics.proportion import Proportion
from dermtl.statistics.reliability import brier_rows, nll_rows, reliability
from dermtl.statistics.temperature import MAX_TEMPERATURE, fit_temperature

_log = logging.getLogger(__name__)
MIN_RECORDS = 10  # with fewer, a temperature is noise


def fit_decisions(
    probabilities: Mapping[str, Probabilities],
    rules: Rules,
    facts: Mapping[str, Any] | None = None,
    *,
    coverages: Mapping[str, float] | None = None,
    groups: Sequence[str] = (),
) -> Decisions:
    """Fit temperatures, then thresholds and sets of classes on the tempered probabilities.

    What cannot be fitted, because a class is missing or no threshold meets its rule, is left out, warned of, and
    listed under ``unsettled`` among the facts.

    Args:
        probabilities: Head to probabilities on validation, without a temperature.
        rules: Head to its decisions' rules.
        facts: Facts that decisions.json stores beside the decisions.
        coverages: Head to the coverage of its sets.
        groups: The group of every validation record; only sets of classes need it.
    """
    temperatures: dict[str, float] = {}
    calibration: dict[str, Any] = {}
    unfitted: list[str] = []
    tempered: dict[str, Probabilities] = {}
    for head, raw in probabilities.items():
        temperature = _temperature(raw, unfitted)
        tempered[head] = raw.tempered(temperature or 1.0)
        if temperature is not None:
            temperatures[head] = temperature
            calibration[head] = {"before": _summary(raw), "after": _summary(tempered[head])}
    _warn(unfitted)
    decisions, without_threshold = fit_thresholds(tempered, rules)
    sets, without_set = fit_class_sets(tempered, coverages or {}, groups)
    fitted = {"calibration": calibration, "unsettled": [*unfitted, *without_threshold, *without_set]}
    return Decisions(temperatures, decisions, {**(facts or {}), **fitted}, sets)


def fit_thresholds(probabilities: Mapping[str, Probabilities], rules: Rules) -> tuple[tuple[Decision, ...], list[str]]:
    """Choose a threshold for every decision on probabilities as the model will give them.

    Returns:
        The decisions; and a line for every one without a threshold, of which is warned, too.
    """
    decisions, unfitted = [], []
    for head, of_head in rules.items():
        for rule in of_head:
            try:
                if head not in probabilities:
                    raise DataError("no validation record has a truth")
                decisions.append(_fit_threshold(rule, probabilities[head]))
            except DataError as error:
                unfitted.append(f"{head}, {rule.name}: {error}")
    return tuple(decisions), _warn(unfitted)


def fit_class_sets(
    probabilities: Mapping[str, Probabilities], coverages: Mapping[str, float], groups: Sequence[str]
) -> tuple[tuple[ClassSet, ...], list[str]]:
    """Choose the sets of every head with a coverage; arguments as of :func:`fit_decisions`, the temperatures applied.

    Returns:
        The sets; and a line for every head without one, of which is warned, too.
    """
    sets, unfitted = [], []
    for head, coverage in coverages.items():
        try:
            if head not in probabilities:
                raise DataError("no validation record has a truth")
            of_head = probabilities[head]
            sets.append(fit_class_set(of_head, [groups[index] for index in of_head.indices], coverage))
        except DataError as error:
            unfitted.append(f"{head}, sets: {error}")
    return tuple(sets), _warn(unfitted)


def _warn(unfitted: list[str]) -> list[str]:
    for line in unfitted:
        _log.warning("not settled: %s", line)
    return unfitted


def _temperature(raw: Probabilities, unfitted: list[str]) -> float | None:
    if len(raw) < MIN_RECORDS:
        unfitted.append(f"{raw.head}: {len(raw)} validation records are too few for a temperature")
        return None
    truth = raw.truth.argmax(axis=1) if raw.exclusive else raw.truth.astype(np.float64)
    temperature = fit_temperature(raw.logits(), truth, "softmax" if raw.exclusive else "sigmoid")
    if not 1.01 / MAX_TEMPERATURE < temperature < 0.99 * MAX_TEMPERATURE:
        why = "all validation records are answered right, or ranked backwards; probabilities stay as they are"
        unfitted.append(f"{raw.head}: no temperature is the likeliest: {why}")
        return None
    return temperature


def _fit_threshold(rule: DecisionRule, probabilities: Probabilities) -> Decision:
    scores, truth = probabilities.score(rule.positive), probabilities.holds(rule.positive)
    point = choose_threshold(scores, truth, rule.rule, lower_bound=rule.lower_bound)
    threshold = point.threshold if rule.rule.startswith("fixed") else just_below(scores, point.threshold)
    try:
        band = choose_band(scores, truth)
        low, high = just_below(scores, band.low), just_below(scores, band.high)
        doubtful = (low, high) if low < high else None
    except DataError:
        doubtful = None
    predicted = scores >= threshold
    chosen = {
        **point.to_json(),
        "sensitivity_wilson": Proportion(int((predicted & truth).sum()), int(truth.sum())).interval(),
        "specificity_wilson": Proportion(int((~predicted & ~truth).sum()), int((~truth).sum())).interval(),
    }
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in chosen.items()}
    head, output = probabilities.head, probabilities.output
    return Decision(head, output, rule.name, rule.positive, threshold, doubtful, plain)


def _summary(probabilities: Probabilities) -> dict[str, float]:
    events = probabilities.events()
    if probabilities.exclusive:
        values, truth = probabilities.values, probabilities.truth.argmax(axis=1)
        brier, nll = brier_rows(values, truth).mean(), nll_rows(values, truth).mean()
    else:
        brier, nll = (rows(events.probability, events.happened).mean() for rows in (brier_rows, nll_rows))
    return {"ece": reliability(events.probability, events.happened).ece, "brier": float(brier), "nll": float(nll)}
