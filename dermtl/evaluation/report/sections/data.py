"""Where the pictures came from: how many went where, who was left out, and what was done against leaks."""

from collections.abc import Mapping
from typing import Any

from dermtl.data.manifest.read import SPLITS
from dermtl.evaluation.report.context import Context


def view(context: Context) -> Mapping[str, Any]:
    """``splits``: name to records and groups; ``flow``: from the table to what was scored; audits of leaks."""
    every, facts, data = context.table, context.evaluation.model, context.evaluation.data
    sides = {side: [record for record in every if record.split == side] for side in SPLITS.values()}
    return {
        "splits": [
            (name, len(records), len({record.group for record in records}))
            for name, records in sides.items()
            if records
        ],
        "flow": data["flow"],
        "evaluated": data,
        "trained": {side: number for side, number in facts.get("data", {}).items() if side in sides},
        "split_audit": facts.get("leakage"),
        "leakage": data.get("leakage"),
    }
