"""What validation settles once and for all: temperatures of heads, thresholds of questions, sets of classes.

Takes probabilities, never a split's name: who calls it sees to it that they are the validation's.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermtl.errors import ConfigError, DataError
from dermtl.evaluation.decisions.class_sets import fit_class_set
from dermtl.evaluation.predict.probabilities import Probabilities, column_names, ranked_output
from dermtl.kinds import Category
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.class_set import ClassSet
from dermtl.runtime.decision import Decision, Decisions
from dermtl.statistics.indeterminate import choose_band
from dermtl.statistics.operating_point import DEFAULT_RULE, choose_threshold, just_below
from dermtl.statistics.proportion import Proportion
from dermtl.statistics.reliability import brier_rows, nll_rows, reliability
from dermtl.statistics.temperature import MAX_TEMPERATURE, fit_temperature
from dermtl.taxonomy.names import last_part

_log = logging.getLogger(__name__)
MIN_RECORDS = 10  # with fewer, a temperature is noise
_NAMED = 4


@dataclass(frozen=True)
class Aim:
    """A yes or no, and the rule for its threshold.

    Attributes:
        head: Whose.
        output: Full name of the output with the probabilities.
        positive: Names of the positive columns.
        rule: See :func:`~dermtl.statistics.operating_point.choose_threshold`.
        lower_bound: Likewise.
    """

    head: str
    output: str
    positive: tuple[str, ...]
    rule: str = DEFAULT_RULE
    lower_bound: bool = False

    @property
    def name(self) -> str:
        """``mel+bcc``, without what lies above them in a tree; of many, the first and how many more."""
        names = [last_part(name) for name in self.positive]
        if len(set(names)) < len(names):
            names = list(self.positive)
        if len(names) <= _NAMED:
            return "+".join(names)
        return "+".join([*names[: _NAMED - 1], f"{len(names) - _NAMED + 1} more"])


def aims(plans: Mapping[str, HeadPlan]) -> list[Aim]:
    """What the heads' configs ask.

    A head of classes asks for its key ``positive`` against the rest, and nothing without; one of labels asks for each.
    Both may have the keys ``rule`` and ``lower_bound``.
    """
    asked = []
    for head, plan in plans.items():
        if (output := ranked_output(plan)) is None:
            continue
        rule = getattr(plan.config, "rule", DEFAULT_RULE)
        lower_bound = getattr(plan.config, "lower_bound", False)
        if isinstance(plan.target, Category):
            named = tuple(getattr(plan.config, "positive", ()))
            chosen = [named] if named else []
        else:
            chosen = [(name,) for name in column_names(plan.target)]
        asked += [Aim(head, output, names, rule, lower_bound) for names in chosen]
    return asked


def coverages(plans: Mapping[str, HeadPlan], coverage: float | None = None) -> dict[str, float]:
    """Head of classes to the coverage of its sets: the one given, else its key ``conformal``; left out without.

    Raises:
        ConfigError: A coverage is given, and no head has classes.
    """
    ranked = {head: plan for head, plan in plans.items() if isinstance(plan.target, Category) and ranked_output(plan)}
    if coverage is not None and not ranked:
        raise ConfigError("no head has classes, of which a set could be made", where="--conformal")
    asked = {head: coverage or getattr(plan.config, "conformal", None) for head, plan in ranked.items()}
    return {head: share for head, share in asked.items() if share is not None}


def settle(
    probabilities: Mapping[str, Probabilities],
    asked: Iterable[Aim],
    facts: Mapping[str, Any] | None = None,
    *,
    sets: Mapping[str, float] | None = None,
    groups: Sequence[str] = (),
) -> Decisions:
    """Fit and choose.

    What cannot be settled, because a class is missing or no threshold meets its rule, is left out, warned of, and
    listed under ``unsettled`` among the facts.

    Args:
        probabilities: Head to probabilities on validation, without a temperature.
        asked: The questions.
        facts: To be stored along.
        sets: Head to the coverage of its sets.
        groups: The group of every row that the probabilities were read from; sets alone need it.
    """
    temperatures: dict[str, float] = {}
    calibration: dict[str, Any] = {}
    unsettled: list[str] = []
    tempered: dict[str, Probabilities] = {}
    for head, found in probabilities.items():
        temperature = _temperature(found, unsettled)
        tempered[head] = found.tempered(temperature or 1.0)
        if temperature is not None:
            temperatures[head] = temperature
            calibration[head] = {"before": _summary(found), "after": _summary(tempered[head])}
    _warn(unsettled)
    decisions, undecided = decide(tempered, asked)
    found_sets, unset = make_sets(tempered, sets or {}, groups)
    told = {"calibration": calibration, "unsettled": [*unsettled, *undecided, *unset]}
    return Decisions(temperatures, decisions, {**(facts or {}), **told}, found_sets)


def decide(probabilities: Mapping[str, Probabilities], asked: Iterable[Aim]) -> tuple[tuple[Decision, ...], list[str]]:
    """Choose a threshold for every question on probabilities as the model will give them.

    Returns:
        The decisions; and a line for every question without one, of which is warned, too.
    """
    decisions, unsettled = [], []
    for question in asked:
        try:
            if question.head not in probabilities:
                raise DataError("no validation record has a truth")
            decisions.append(_decide(question, probabilities[question.head]))
        except DataError as error:
            unsettled.append(f"{question.head}, {question.name}: {error}")
    return tuple(decisions), _warn(unsettled)


def make_sets(
    probabilities: Mapping[str, Probabilities], sets: Mapping[str, float], groups: Sequence[str]
) -> tuple[tuple[ClassSet, ...], list[str]]:
    """Choose a set for every head asked for; arguments as of :func:`settle`, the temperatures applied.

    Returns:
        The sets; and a line for every head without one, of which is warned, too.
    """
    made, unsettled = [], []
    for head, coverage in sets.items():
        try:
            if head not in probabilities:
                raise DataError("no validation record has a truth")
            found = probabilities[head]
            made.append(fit_class_set(found, [groups[index] for index in found.indices], coverage))
        except DataError as error:
            unsettled.append(f"{head}, sets: {error}")
    return tuple(made), _warn(unsettled)


def _warn(unsettled: list[str]) -> list[str]:
    for line in unsettled:
        _log.warning("not settled: %s", line)
    return unsettled


def _temperature(found: Probabilities, unsettled: list[str]) -> float | None:
    if len(found) < MIN_RECORDS:
        unsettled.append(f"{found.head}: {len(found)} validation records are too few for a temperature")
        return None
    link = "softmax" if found.exclusive else "sigmoid"
    truth = found.truth.argmax(axis=1) if found.exclusive else found.truth.astype(np.float64)
    temperature = fit_temperature(found.logits(), truth, "softmax" if link == "softmax" else "sigmoid")
    if not 1.01 / MAX_TEMPERATURE < temperature < 0.99 * MAX_TEMPERATURE:
        why = "all validation records are answered right, or ranked backwards; probabilities stay as they are"
        unsettled.append(f"{found.head}: no temperature is the likeliest: {why}")
        return None
    return temperature


def _decide(question: Aim, found: Probabilities) -> Decision:
    scores, truth = found.score(question.positive), found.holds(question.positive)
    point = choose_threshold(scores, truth, question.rule, lower_bound=question.lower_bound)
    threshold = point.threshold if question.rule.startswith("fixed") else just_below(scores, point.threshold)
    try:
        band = choose_band(scores, truth)
        low, high = just_below(scores, band.low), just_below(scores, band.high)
        doubtful = (low, high) if low < high else None
    except DataError:
        doubtful = None
    called = scores >= threshold
    chosen = {
        **point.to_json(),
        "sensitivity_wilson": Proportion(int((called & truth).sum()), int(truth.sum())).interval(),
        "specificity_wilson": Proportion(int((~called & ~truth).sum()), int((~truth).sum())).interval(),
    }
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in chosen.items()}
    return Decision(question.head, question.output, question.name, question.positive, threshold, doubtful, plain)


def _summary(found: Probabilities) -> dict[str, float]:
    events = found.events()
    if found.exclusive:
        truth = found.truth.argmax(axis=1)
        brier, nll = brier_rows(found.values, truth).mean(), nll_rows(found.values, truth).mean()
    else:
        brier, nll = (rows(events.probability, events.happened).mean() for rows in (brier_rows, nll_rows))
    return {"ece": reliability(events.probability, events.happened).ece, "brier": float(brier), "nll": float(nll)}
