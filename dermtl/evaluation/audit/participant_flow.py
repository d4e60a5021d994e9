"""From the table to what was scored: how many records were left out at each step, and why.

Nothing is left out for being unreadable: a picture or an annotation that cannot be read stops an evaluation.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dermtl.evaluation.metrics.record_scores import HeadScores
from dermtl.kinds import Kind, Record
from dermtl.plugins.plan import HeadPlan


@dataclass(frozen=True)
class _Watched(Record):
    """A record that notes which empty cells were asked for."""

    blank: list[str] = field(default_factory=list)

    def text(self, column: str) -> str | None:
        text = super().text(column)
        if text is None:
            self.blank.append(column)
        return text


def participant_flow(
    table: Sequence[Record],
    records: Sequence[Record],
    plans: Mapping[str, HeadPlan],
    measures: Mapping[str, HeadScores],
) -> dict[str, Any]:
    """Account for every record of a table.

    Args:
        table: All records of the table, with group and split.
        records: Records that were evaluated.
        plans: The heads that were scored.
        measures: What the heads' metrics measured; indices are positions in ``records``.

    Returns:
        ``table``, ``left_out`` and ``evaluated``; and ``heads``: head to ``left_out`` (of those evaluated), ``scored``,
        and ``undefined``, metric to how many of the scored records have no value of it. A step is ``records`` and
        ``groups``; ``left_out`` lists ``why`` with both.
    """
    chosen = {record.image for record in records}
    others: dict[str, list[Record]] = defaultdict(list)
    for record in table:
        if record.image not in chosen:
            others[f"in split {record.split}" if record.split else "in no split"].append(record)
    return {
        "table": _count(table),
        "left_out": [{"why": why, **_count(out)} for why, out in others.items()],
        "evaluated": _count(records),
        "heads": {name: _of_head(records, plan.target, measures[name]) for name, plan in plans.items()},
    }


def _of_head(records: Sequence[Record], target: Kind, measured: HeadScores) -> dict[str, Any]:
    scored = {int(index) for index in measured.indices}
    reasons: dict[str, list[Record]] = defaultdict(list)
    for index, record in enumerate(records):
        if index not in scored:
            reasons[_reason(record, target)].append(record)
    undefined = {
        column: int(np.isnan(values).sum())
        for column, values in measured.table.items()
        if values.ndim == 1 and values.dtype.kind == "f"
    }
    return {
        "left_out": [{"why": why, **_count(out)} for why, out in reasons.items()],
        "scored": _count([records[index] for index in sorted(scored)]),
        "undefined": {column: num for column, num in undefined.items() if num},
    }


def _reason(record: Record, target: Kind) -> str:
    """Why a record has no truth of this kind."""
    watched = _Watched(**{name: getattr(record, name) for name in Record.__dataclass_fields__})
    target.read(watched)
    if watched.blank:
        return f"no truth: empty cell in {', '.join(dict.fromkeys(watched.blank))}"
    return f"no truth: what the table names holds no {target.kind}"


def _count(records: Sequence[Record]) -> dict[str, int]:
    return {"records": len(records), "groups": len({record.group for record in records})}
