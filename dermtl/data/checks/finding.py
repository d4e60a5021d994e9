"""One fault, and the list of all kinds of fault. Knows nothing of how they are found."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from dermtl.data.checks.codes import CODES

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One fault at one place.

    Attributes:
        severity: ``error`` where training would stop or learn nonsense, else ``warning``.
        code: A key of CODES; stable.
        where: ``file:row``, or the file where the table as a whole is meant.
        column: The manifest's column, or empty.
        message: What is wrong.
        hint: The next step.
    """

    severity: Severity
    code: str
    where: str
    column: str
    message: str
    hint: str

    @property
    def row(self) -> int | None:
        """The table's line, 1 for the header."""
        line = self.where.rpartition(":")[2]
        return int(line) if line.isdecimal() else None

    def to_json(self) -> dict[str, Any]:
        """Everything in plain JSON types."""
        return {**asdict(self), "row": self.row}


def found(code: str, where: str, message: str, *, column: str = "", hint: str = "") -> Finding:
    """A finding; severity, and the next step where none is given, follow from the code."""
    severity, step = CODES[code]
    return Finding("error" if severity == "error" else "warning", code, where, column, message, hint or step)
