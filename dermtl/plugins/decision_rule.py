"""A binary decision that a head declares: which classes are positive, and by which rule its threshold is set."""

from dataclasses import dataclass

from dermtl.statistics.operating_point import DEFAULT_RULE
from dermtl.taxonomy.names import last_part

_NAMED = 4


@dataclass(frozen=True)
class DecisionRule:
    """A binary decision before its threshold is known.

    Attributes:
        positive: Names of the classes or labels whose probabilities add up to the score.
        rule: How the threshold is chosen on validation; see
            :func:`~dermtl.statistics.operating_point.choose_threshold`.
        lower_bound: Whether Wilson's lower limit must meet the rule's target, not the share alone.
    """

    positive: tuple[str, ...]
    rule: str = DEFAULT_RULE
    lower_bound: bool = False

    @property
    def name(self) -> str:
        """``mel+bcc``, without what lies above them in a tree; of many names, the first three and how many more."""
        names = [last_part(name) for name in self.positive]
        if len(set(names)) < len(names):
            names = list(self.positive)
        if len(names) <= _NAMED:
            return "+".join(names)
        return "+".join([*names[: _NAMED - 1], f"{len(names) - _NAMED + 1} more"])
