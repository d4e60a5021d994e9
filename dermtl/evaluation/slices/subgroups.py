"""The primary metric by columns of the table: skin type, sex, age, site, device. Never a mean over those with few."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation, localcontext
from difflib import get_close_matches
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import InputError, ManifestError
from dermtl.evaluation.metrics.estimates import with_intervals
from dermtl.evaluation.metrics.record_scores import HeadScores, weighted
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.kinds import Record
from dermtl.plugins.contract import Metrics
from dermtl.runtime.decision import Decision
from dermtl.statistics.proportion import Proportion

MIN_RECORDS = 10
UNKNOWN = "unknown"
_EXACT = Context(prec=700)  # digits enough for sums and multiples of any two numbers that a float can hold


@dataclass(frozen=True)
class By:
    """A column to divide the records by.

    Attributes:
        column: Column of the table.
        width: Width of the bins of a column of numbers; None takes every text as a group.
    """

    column: str
    width: float | None = None

    @property
    def name(self) -> str:
        """``age:20``."""
        return self.column if self.width is None else f"{self.column}:{_plain(self._step)}"

    def value(self, record: Record) -> str:
        """The subgroup of a record; an empty cell, or one that is no number, is ``unknown``.

        A bin holds its lower edge and not its upper one. It is found by decimal arithmetic on the cell's text, since
        0.3 / 0.1 is less than 3 for floats, and its name has all digits, so that no two bins share one.

        Raises:
            ManifestError: The table has no such column.
        """
        need_column(record, self.column)
        text = record.cells[self.column].strip()
        if self.width is None:
            return text or UNKNOWN
        with localcontext(_EXACT):
            try:
                number, step = Decimal(text), self._step
                count = number // step if number.is_finite() else None  # towards zero
            except InvalidOperation:  # no number, or one too large for any float
                count = None
            if count is None:
                return UNKNOWN
            start = step * (count - 1 if count * step > number else count)
            return f"{_plain(start)} to below {_plain(start + step)}"

    @property
    def _step(self) -> Decimal:
        return Decimal(str(self.width))


def need_column(record: Record, column: str) -> None:
    """Refuse a column that the command line names and the table lacks.

    Raises:
        ManifestError: With the nearest column that there is.
    """
    if column not in record.cells:
        near = get_close_matches(column, record.cells, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(record.cells)}"
        raise ManifestError(f"the table has no column {column!r}", hint=hint)


def parse_by(text: str) -> list[By]:
    """``skin_type,sex,age:20``.

    Raises:
        InputError: A part is empty, a column stands twice, or a width is no number above 0.
    """
    divisions: list[By] = []
    for part in text.split(","):
        column, colon, width = part.strip().rpartition(":") if ":" in part else (part.strip(), "", "")
        try:
            by = By(column, float(width) if colon else None)
        except ValueError:
            by = By("")
        wide = by.width is None or 0 < by.width < float("inf")
        if not by.column or not wide or by.column in {other.column for other in divisions}:
            hint = "write columns with commas between, a bin's width behind a colon: sex,age:20"
            raise InputError(f"expected a column, or column:width, got {part!r}", where="--by", hint=hint)
        divisions.append(by)
    return divisions


def subgroup_metrics(
    by: By,
    records: Sequence[Record],
    metrics: Mapping[str, Metrics],
    measures: Mapping[str, HeadScores],
    probabilities: Mapping[str, Probabilities],
    decisions: Sequence[Decision],
    *,
    resamples: int = 2000,
) -> dict[str, Any]:
    """Every head's primary metric, and every decision, in each subgroup of one column.

    Returns:
        Head to ``metric``, ``worst`` (the subgroup with the lowest metric among the estimable ones, None with fewer
        than two) and ``groups``: subgroup to n, value, low, high, ``difference`` to the rest with its interval, and
        ``decisions``: question to sensitivity and specificity with Wilson's intervals. Below 10 records, or 10
        positives or negatives for a decision, values are None: not estimable.
    """
    names = np.array([by.value(record) for record in records])
    groups = np.array([record.group for record in records])
    by_head: dict[str, Any] = {}
    for head, measured in measures.items():
        if not len(measured.indices):
            continue
        metric = metrics[head].primary
        of_measured, clusters = names[measured.indices], groups[measured.indices]
        rows: dict[str, Any] = {}
        for name in sorted(set(of_measured.tolist()), key=_order):
            inside = of_measured == name
            rows[name] = _primary(metrics[head], measured.table, inside, clusters, resamples)
            if head in probabilities:
                rows[name]["decisions"] = {
                    decision.name: _operating_point(decision, probabilities[head], names == name)
                    for decision in decisions
                    if decision.head == head
                }
        known = {name: row["value"] for name, row in rows.items() if row["value"] is not None and name != UNKNOWN}
        worst = min(known, key=lambda name: known[name]) if len(known) > 1 else None
        by_head[head] = {"metric": metric, "worst": worst, "groups": rows}
    return by_head


def _order(name: str) -> tuple[bool, Decimal, str]:
    """Numbers by size, texts by name, the unknown last."""
    try:
        number = Decimal(name.split(" ", 1)[0])
    except InvalidOperation:
        number = Decimal("inf")
    return name == UNKNOWN, Decimal("inf") if number.is_nan() else number, name


def _plain(number: Decimal) -> str:
    """All digits, none for powers of ten, and no zeros behind: 40, 0.3."""
    return f"{number.normalize(_EXACT) + 0:f}"


def _primary(
    metrics: Metrics, table: Mapping[str, Array], inside: Array, clusters: Array, resamples: int
) -> dict[str, Any]:
    num = int(inside.sum())
    row: dict[str, Any] = {"n": num, "value": None, "low": None, "high": None, "redrawn": 0, "difference": None}
    if num < MIN_RECORDS:
        return row
    # Each prepared on its own rows: a mean over classes is over those that occur there.
    parts = {
        part: weighted(metrics, {column: values[rows] for column, values in table.items()})
        for part, rows in (("value", inside), ("rest", ~inside))
        if rows.any()
    }
    metric = metrics.primary

    def statistic(weights: Array) -> dict[str, float]:
        values = {
            part: of_part(chosen)[metric]
            for part, of_part in parts.items()
            if (chosen := weights[inside if part == "value" else ~inside]).any()
        }
        value = values.get("value", float("nan"))
        return {"value": value, "difference": value - values.get("rest", float("nan"))}

    estimates = with_intervals(statistic, clusters.tolist(), resamples=resamples)
    row |= estimates["value"]
    if len(inside) - num >= MIN_RECORDS:
        row["difference"] = estimates["difference"]
    return row


def _operating_point(decision: Decision, probabilities: Probabilities, of: Array) -> dict[str, Any]:
    """Sensitivity and specificity in some records, bool [n] ``of``."""
    inside = probabilities.take(of[probabilities.indices])
    predicted = inside.score(decision.positive) >= decision.threshold
    truth = inside.holds(decision.positive)
    shares = {
        "sensitivity": Proportion(int((predicted & truth).sum()), int(truth.sum())),
        "specificity": Proportion(int((~predicted & ~truth).sum()), int((~truth).sum())),
    }
    return {
        name: {
            "n": share.num,
            "value": share.value if share.num >= MIN_RECORDS else None,
            "wilson": list(share.interval()) if share.num >= MIN_RECORDS else None,
        }
        for name, share in shares.items()
    }
