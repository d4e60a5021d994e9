"""What validation settles once and for all: a temperature for every head, a threshold for every question.

Takes probabilities, never a split's name: who calls it sees to it that they are the validation's.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermtl.errors import DataError
from dermtl.evaluation.probabilities import Probabilities, column_names, ranked_output
from dermtl.evaluation.statistics.abstain import choose_band
from dermtl.evaluation.statistics.calibration import MAX_TEMPERATURE, fit_temperature
from dermtl.evaluation.statistics.operating_point import DEFAULT_RULE, choose_threshold
from dermtl.evaluation.statistics.proportion import Proportion
from dermtl.evaluation.statistics.reliability import brier_rows, nll_rows, reliability
from dermtl.imaging.affine import Array
from dermtl.kinds import Category
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decision, Decisions
from dermtl.taxonomy.names import last_part

_log = logging.getLogger(__name__)
MIN_RECORDS = 10  # with fewer, a temperature is noise
_SLACK = 1e-3
_NAMED = 4


@dataclass(frozen=True)
class Aim:
    """A yes or no, and the rule for its threshold.

    Attributes:
        head: Whose.
        output: Full name of the output with the probabilities.
        positive: Names of the positive columns.
        rule: See :func:`~dermtl.evaluation.statistics.operating_point.choose_threshold`.
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


def settle(
    probabilities: Mapping[str, Probabilities], asked: Iterable[Aim], facts: Mapping[str, Any] | None = None
) -> Decisions:
    """Fit and choose.

    What cannot be settled, because a class is missing or no threshold meets its rule, is left out, warned of, and
    listed under ``unsettled`` among the facts.

    Args:
        probabilities: Head to probabilities on validation, without a temperature.
        asked: The questions.
        facts: To be stored along.
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
    decisions = []
    for question in asked:
        try:
            if question.head not in tempered:
                raise DataError("no validation record has a truth")
            decisions.append(_decide(question, tempered[question.head]))
        except DataError as error:
            unsettled.append(f"{question.head}, {question.name}: {error}")
    for line in unsettled:
        _log.warning("not settled: %s", line)
    return Decisions(
        temperatures, tuple(decisions), {**(facts or {}), "calibration": calibration, "unsettled": unsettled}
    )


def _temperature(found: Probabilities, unsettled: list[str]) -> float | None:
    if len(found) < MIN_RECORDS:
        unsettled.append(f"{found.head}: {len(found)} validation records are too few for a temperature")
        return None
    link = "softmax" if found.exclusive else "sigmoid"
    truth = found.truth.argmax(axis=1) if found.exclusive else found.truth.astype(np.float64)
    temperature = fit_temperature(found.logits(), truth, "softmax" if link == "softmax" else "sigmoid")
    if not 1.01 / MAX_TEMPERATURE < temperature < 0.99 * MAX_TEMPERATURE:
        unsettled.append(f"{found.head}: no temperature is the likeliest; validation is all right, or ranked backwards")
        return None
    return temperature


def _decide(question: Aim, found: Probabilities) -> Decision:
    scores, truth = found.score(question.positive), found.holds(question.positive)
    point = choose_threshold(scores, truth, question.rule, lower_bound=question.lower_bound)
    threshold = point.threshold if question.rule.startswith("fixed") else _below(scores, point.threshold)
    try:
        band = choose_band(scores, truth)
        low, high = _below(scores, band.low), _below(scores, band.high)
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


def _below(scores: Array, threshold: float) -> float:
    """A little under the threshold, but over the next lower score.

    The same calls on validation; a score that rounding moves by 1e-6 in another runtime stays on its side.
    """
    lower = scores[scores < threshold].max(initial=-1.0)
    return float(threshold - min((threshold - max(lower, 0.0)) / 2, _SLACK))


def _summary(found: Probabilities) -> dict[str, float]:
    predicted, happened = found.events()
    if found.exclusive:
        truth = found.truth.argmax(axis=1)
        brier, nll = brier_rows(found.values, truth).mean(), nll_rows(found.values, truth).mean()
    else:
        brier, nll = brier_rows(predicted, happened).mean(), nll_rows(predicted, happened).mean()
    return {"ece": reliability(predicted, happened).ece, "brier": float(brier), "nll": float(nll)}
