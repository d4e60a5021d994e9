"""The threshold above which a score counts as positive: chosen on validation scores by a rule, then frozen.

There is no way to choose one on test: what evaluates takes an :class:`OperatingPoint` as it is.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import ConfigError, DataError
from dermtl.statistics.proportion import Proportion
from dermtl.statistics.ranking import Ranking, RocCurve

DEFAULT_RULE = "sensitivity>=0.95"
NOBODY = 2.0  # above every probability, sums of rounded ones included, and a number that JSON has, unlike infinity
_SLACK = 1e-3
_RULE = re.compile(r"(sensitivity>=|specificity>=|cost:|fixed:)\s*([-+.\deE]+)|(youden)")


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with where it came from. A score of at least the threshold is called positive.

    Attributes:
        rule: The rule that chose it, as it was given.
        lower_bound: Whether Wilson's lower limit had to meet the rule's target.
        threshold: In the units of the scores; :data:`NOBODY` or more where no score is to be called positive.
        num_positive: Number of positives on validation.
        num_negative: Number of negatives on validation.
        sensitivity: Sensitivity on validation.
        specificity: Specificity on validation.
    """

    rule: str
    lower_bound: bool
    threshold: float
    num_positive: int
    num_negative: int
    sensitivity: float
    specificity: float

    @property
    def n(self) -> int:
        """Rows it was chosen on."""
        return self.num_positive + self.num_negative

    def decide(self, scores: Array) -> Array:
        """Whether each score is called positive, bool of the scores' shape."""
        return np.asarray(scores, np.float64) >= self.threshold

    def to_json(self) -> dict[str, Any]:
        """Everything, in plain JSON types."""
        return {**asdict(self), "n": self.n}


def choose_threshold(
    scores: Array, positive: Array, rule: str = DEFAULT_RULE, *, lower_bound: bool = False
) -> OperatingPoint:
    """Choose a threshold among the validation scores.

    Rules:
        ``sensitivity>=x``: the highest threshold whose sensitivity is at least x.
        ``specificity>=x``: the lowest threshold whose specificity is at least x.
        ``youden``: the highest sensitivity + specificity.
        ``cost:ratio``: the lowest ratio * missed positives + false alarms, counted on validation, so at its prevalence;
        the ratio says how many false alarms one missed positive is worth. Where calling nobody positive costs
        less than any threshold among the scores, the threshold is :data:`NOBODY`, or the highest score and 1 if that is
        more.
        ``fixed:t``: t.

    Where ``youden`` or ``cost`` rate several thresholds alike, the lowest is taken: it misses fewer.

    Args:
        scores: float [n], finite.
        positive: bool [n].
        rule: One of the above.
        lower_bound: The lower limit of Wilson's 95% interval must meet the target, not the share alone; it takes rows
            as independent.

    Raises:
        ConfigError: No such rule, or ``lower_bound`` with a rule that has no target.
        DataError: No positive, no negative, a score that is not finite, or no score meets the rule.
    """
    kind, value = parse_rule(rule)
    if lower_bound and kind not in ("sensitivity", "specificity"):
        raise ConfigError(f"rule {rule!r} has no target for a lower bound", hint="use sensitivity>= or specificity>=")
    scores, truth = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if not np.isfinite(scores).all():
        raise DataError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} validation scores are not finite")
    if truth.all() or not truth.any():
        raise DataError(
            f"a threshold needs positives and negatives; validation has {int(truth.sum())} and {int((~truth).sum())}",
            hint="use a larger validation split, or rule fixed:<threshold>",
        )
    threshold = value if kind == "fixed" else _search(kind, value, lower_bound, Ranking(scores, truth).curve(), rule)
    if not np.isfinite(threshold):
        threshold = max(NOBODY, scores.max() + 1.0)
    called = scores >= threshold
    return OperatingPoint(
        rule,
        lower_bound,
        float(threshold),
        int(truth.sum()),
        int((~truth).sum()),
        float(called[truth].mean()),
        float((~called[~truth]).mean()),
    )


def just_below(scores: Array, threshold: float) -> float:
    """A little under a threshold, but over the next lower score: half the way there, 0.001 at most.

    The same calls on these scores; one that rounding moves by 1e-6 in another runtime stays on its side. A threshold
    above all scores stays as it is.
    """
    if threshold > scores.max(initial=-np.inf):
        return threshold
    lower = scores[scores < threshold].max(initial=-1.0)
    return float(threshold - min((threshold - max(lower, 0.0)) / 2, _SLACK))


def parse_rule(rule: str) -> tuple[str, float]:
    """Name and number of a rule; ``youden`` has 0.

    Raises:
        ConfigError: The rule is unknown, or its number is invalid or out of range.
    """
    match = _RULE.fullmatch(rule.strip())
    hint = "use sensitivity>=0.95, specificity>=0.9, youden, cost:10 or fixed:0.5"
    if not match:
        raise ConfigError(f"unknown rule {rule!r}", hint=hint)
    if match[3]:
        return match[3], 0.0
    kind = match[1].rstrip(">=:")
    try:
        value = float(match[2])
    except ValueError:
        raise ConfigError(f"rule {rule!r}: expected a number, got {match[2]!r}", hint=hint) from None
    if (kind.endswith("ity") and not 0 < value <= 1) or (kind == "cost" and value <= 0) or not np.isfinite(value):
        raise ConfigError(f"rule {rule!r}: {value:g} is out of range", hint=hint)
    return kind, value


def _search(kind: str, value: float, lower_bound: bool, curve: RocCurve, rule: str) -> float:
    true, false = curve.true_positives, curve.false_positives
    kept = curve.num_negative - false
    reach = _lower if lower_bound else _share
    if kind == "sensitivity":
        meets = np.flatnonzero(reach(true, curve.num_positive) >= value)[:1]
    elif kind == "specificity":
        meets = np.flatnonzero(reach(kept, curve.num_negative) >= value)[-1:]
    elif kind == "youden":  # in whole numbers, so that ties are ties
        gain = true * curve.num_negative + kept * curve.num_positive
        meets = np.flatnonzero(gain == gain.max())[-1:]
    else:
        cost = value * (curve.num_positive - true) + false
        if value * curve.num_positive < cost.min():
            return float("inf")
        meets = np.flatnonzero(cost == cost.min())[-1:]
    if not len(meets):
        what = f"{'the lower limit of ' if lower_bound else ''}{kind}"
        hint = "more validation rows, a lower target, or no lower bound" if lower_bound else "a lower target"
        raise DataError(
            f"no threshold meets {rule}: with {curve.num_positive} positives and {curve.num_negative} negatives "
            f"{what} stays below {value:g} wherever any row is called positive",
            hint=f"use {hint}",
        )
    return float(curve.thresholds[meets[0]])


def _share(hits: Array, num: int) -> Array:
    return np.asarray(hits / num)


def _lower(hits: Array, num: int) -> Array:
    return np.array([Proportion(int(hit), num).interval()[0] for hit in hits])
