"""All findings of one data set, and their numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dermtl.data.checks.finding import Finding


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        manifest: The table.
        findings: In the order of the rows.
        num_images: Rows whose picture was looked at.
        seconds: How long it took.
    """

    manifest: str
    findings: Sequence[Finding]
    num_images: int
    seconds: float

    @property
    def num_errors(self) -> int:
        """Findings that would stop or spoil a training."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Everything in plain JSON types."""
        return {
            "manifest": self.manifest,
            "num_images": self.num_images,
            "num_errors": self.num_errors,
            "num_warnings": len(self.findings) - self.num_errors,
            "codes": dict(Counter(finding.code for finding in self.findings)),
            "findings": [finding.to_json() for finding in self.findings],
        }
