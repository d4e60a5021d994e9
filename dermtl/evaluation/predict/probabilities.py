"""Probabilities beside their truths: what decisions and calibration look at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dermtl.arrays import Array
from dermtl.kinds import Category, Kind, Tags
from dermtl.plugins.plan import HeadPlan
from dermtl.statistics.confusion import Confusion
from dermtl.statistics.expit import expit

_SMALLEST = 1e-12


@dataclass(frozen=True)
class Events:
    """What was predicted to happen, and whether it did.

    Attributes:
        probability: float64 [e], 0..1.
        odds: float64 [e], its log odds, finite.
        happened: bool [e].
    """

    probability: Array
    odds: Array
    happened: Array


@dataclass(frozen=True)
class Probabilities:
    """One head's probabilities, of the records that have a truth.

    Attributes:
        head: Name of the head.
        output: Full name of the output.
        names: Classes or labels, [K].
        values: float64 [m, K], in 0..1.
        truth: bool [m, K].
        indices: int64 [m], positions of the records among the predictions.
        exclusive: Whether exactly one column holds: classes, not labels.
    """

    head: str
    output: str
    names: tuple[str, ...]
    values: Array
    truth: Array
    indices: Array
    exclusive: bool

    def __len__(self) -> int:
        return len(self.indices)

    def score(self, positive: Sequence[str]) -> Array:
        """Sum of some columns' probabilities, float64 [m]."""
        return np.asarray(self.values[:, [self.names.index(name) for name in positive]].sum(axis=1))

    def holds(self, positive: Sequence[str]) -> Array:
        """Whether any of some columns is true, bool [m]."""
        return np.asarray(self.truth[:, [self.names.index(name) for name in positive]].any(axis=1))

    def confusion(self) -> Confusion:
        """Counts of true against likeliest classes; only if the columns are exclusive."""
        return Confusion.of(self.truth.argmax(axis=1), self.values.argmax(axis=1), len(self.names))

    def events(self) -> Events:
        """That the likeliest class is right, one a record; or every single label, K a record."""
        if not self.exclusive:
            values = self.values.ravel()
            return Events(values, _log_odds(values, 1.0 - values), self.truth.ravel())
        likeliest = self.values.argmax(axis=1)[:, None] == np.arange(len(self.names))
        return self._either(likeliest, self.truth[likeliest])

    def events_of(self, positive: Sequence[str]) -> Events:
        """That any of some columns is true, one a record."""
        chosen = np.isin(np.array(self.names), list(positive))
        if not self.exclusive:
            scores = np.clip(self.score(positive), 0.0, 1.0)
            return Events(scores, _log_odds(scores, 1.0 - scores), self.holds(positive))
        return self._either(np.broadcast_to(chosen, self.values.shape), self.holds(positive))

    def _either(self, chosen: Array, happened: Array) -> Events:
        """Some columns, bool [m, K], against all others: near 1, float32 knows their sum much better than 1 - p."""
        inside, outside = (np.where(columns, self.values, 0.0).sum(axis=1) for columns in (chosen, ~chosen))
        return Events(np.clip(inside, 0.0, 1.0), _log_odds(inside, outside), happened)

    def logits(self) -> Array:
        """What softmax, or a sigmoid, turns into the probabilities; float64 [m, K]."""
        values = np.clip(self.values, _SMALLEST, 1.0 - _SMALLEST)
        return np.log(values) if self.exclusive else np.log(values / (1.0 - values))

    def tempered(self, temperature: float) -> "Probabilities":
        """The same after logits were divided by a temperature."""
        logits = self.logits() / temperature
        if self.exclusive:
            weight = np.exp(logits - logits.max(axis=1, keepdims=True))
            return replace(self, values=weight / weight.sum(axis=1, keepdims=True))
        return replace(self, values=expit(logits))

    def take(self, chosen: Array) -> "Probabilities":
        """Some records; bool or int, as NumPy's indexing takes it."""
        return replace(self, values=self.values[chosen], truth=self.truth[chosen], indices=self.indices[chosen])


def _log_odds(inside: Array, outside: Array) -> Array:
    """Log odds of one probability against another; both together make up the whole."""
    return np.asarray(np.log(np.maximum(inside, _SMALLEST)) - np.log(np.maximum(outside, _SMALLEST)))


def ranked_output(plan: HeadPlan) -> str | None:
    """Full name of the output that gives a probability of every class or label of the head's truth; None without."""
    names = column_names(plan.target)
    for output, kind in plan.outputs.items():
        alike = isinstance(kind, Category) == isinstance(plan.target, Category)
        if names and alike and column_names(kind) == names:
            return output
    return None


def column_names(kind: Kind) -> tuple[str, ...]:
    """The classes or labels of a kind; empty for other kinds."""
    if isinstance(kind, Category):
        return kind.classes
    return kind.labels if isinstance(kind, Tags) else ()
