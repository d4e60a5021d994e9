"""Where the pictures came from: how many went where, who was left out, and what was done against leaks."""

from collections.abc import Mapping
from typing import Any

from dermtl.data.manifest import SPLITS
from dermtl.evaluation.report.context import Context


def view(context: Context) -> Mapping[str, Any]:
    """``flow``: name to records and groups; ``annotated``: head to records; ``split_audit`` and ``leakage``."""
    every, facts = context.subject.records, context.subject.facts
    sides = {side: [record for record in every if record.split == side] for side in SPLITS.values()}
    flow = {"in the table": every, **{side: found for side, found in sides.items() if found}}
    if apart := [record for record in every if not record.split]:
        flow["in no split"] = apart
    return {
        "flow": [(name, len(found), len({record.group for record in found})) for name, found in flow.items()],
        "evaluated": context.evaluation.data,
        "trained": {side: number for side, number in facts.get("data", {}).items() if side in sides},
        "split_audit": facts.get("leakage"),
        "leakage": context.evaluation.data.get("leakage"),
    }
