"""Sets of classes (conformal prediction): all classes that reach a threshold frozen on validation.

Owns how such a set is stored and applied. Knows nothing of how the threshold is chosen.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any


@dataclass(frozen=True)
class ClassSet:
    """The threshold that makes a class a member of the set.

    Attributes:
        head: Name of the head.
        output: Name of the output with the classes' probabilities, ``diagnosis.probability``.
        coverage: Share of pictures whose set is to hold the true class, above 0 and below 1.
        threshold: Smallest probability of a member; calibrated, 0..1. A set may be empty, or hold all classes.
        chosen: How it was chosen: records, groups, and metrics on validation; plain JSON types.
    """

    head: str
    output: str
    coverage: float
    threshold: float
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def members(self, probability: Mapping[str, float]) -> list[str]:
        """The classes in the set of one picture, the likeliest first."""
        members = [name for name, value in probability.items() if value >= self.threshold]
        return sorted(members, key=lambda name: -probability[name])

    def outcome(self, probability: Mapping[str, float]) -> dict[str, Any]:
        """``classes`` and ``coverage``."""
        return {"classes": self.members(probability), "coverage": self.coverage}

    def columns(self, probability: Mapping[str, float]) -> dict[str, float]:
        """``diagnosis.set.mel`` and so on; 1 is in the set, 0 is not."""
        return {f"{self.head}.set.{name}": float(value >= self.threshold) for name, value in probability.items()}

    def to_json(self) -> dict[str, Any]:
        """Everything, in plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "ClassSet":
        """Read :meth:`to_json`.

        Raises:
            ValueError: A number is out of range, or none.
            LookupError: A key is missing.
            TypeError: A value is of another type.
        """
        numbers = {key: entry[key] for key in ("coverage", "threshold")}
        for key, value in numbers.items():
            if type(value) not in (int, float) or not isfinite(value):
                raise ValueError(f"expected a finite number as {key}, got {value!r}")
        if not 0 < numbers["coverage"] < 1:
            raise ValueError(f"expected a coverage between 0 and 1, got {numbers['coverage']:g}")
        return cls(str(entry["head"]), str(entry["output"]), **numbers, chosen=dict(entry["chosen"]))
