"""How losses are averaged: over the parts of a batch, over the processes (DDP), and over an epoch.

Every term of a head's loss is a quotient: what the rows add to its numerator over what they add to its denominator.
Denominators are summed over all parts and processes before the first gradient is computed. Each part then divides its
own numerators by the denominator of the whole batch, and the gradients of all parts and processes are summed. So the
gradient is that of the whole batch, whatever the number of records with a target, or the sum of class weights, that a
part or a process happens to have.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Denominators = dict[str, dict[str, float]]
"""Head to term to denominator. The term :data:`NUM_ROWS` serves all terms without a denominator of their own."""
NUM_ROWS = ""


def sum_denominators(parts: Sequence[Denominators]) -> Denominators:
    """The denominators of a batch from those of its parts."""
    summed: Denominators = {}
    for part in parts:
        for head, terms in part.items():
            totals = summed.setdefault(head, {})
            for term, value in terms.items():
                totals[term] = totals.get(term, 0.0) + value
    return summed


def denominator_of(term: str, totals: Mapping[str, float]) -> float:
    """The denominator of a term of one head; the number of rows unless the head's weights name the term."""
    return totals.get(term, totals[NUM_ROWS])


class RunningMeans:
    """Means over an epoch: quotients of sums, by name.

    Args:
        sums: Numerator of each name so far.
        counts: Denominator of each name so far.
    """

    def __init__(self, sums: Mapping[str, float] | None = None, counts: Mapping[str, float] | None = None) -> None:
        self.sums: dict[str, float] = dict(sums or {})
        self.counts: dict[str, float] = dict(counts or {})

    def add(self, name: str, numerator: float, denominator: float) -> None:
        """Add to both sums of a name."""
        self.sums[name] = self.sums.get(name, 0.0) + numerator
        self.counts[name] = self.counts.get(name, 0.0) + denominator

    def values(self) -> dict[str, float]:
        """Name to quotient; names with denominator 0 are left out."""
        return {name: total / self.counts[name] for name, total in self.sums.items() if self.counts[name]}

    def pooled(self, gather: Callable[[Any], list[Any]]) -> "RunningMeans":
        """The means over all processes.

        Args:
            gather: Returns each process's value.
        """
        pooled = RunningMeans()
        for sums, counts in gather((self.sums, self.counts)):
            for name, total in sums.items():
                pooled.add(name, total, counts[name])
        return pooled
