"""The primary metric by subgroup, as a forest plot and a table."""

from collections.abc import Mapping
from typing import Any

from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.plots import GREY, Plot, colour, plot


def view(context: Context, head: str) -> Mapping[str, Any] | None:
    """Every column of --by; None where there is none, or the head was not measured."""
    columns = {
        column: result[head] for column, result in context.evaluation.subgroups.items() if result.get(head) is not None
    }
    if not columns:
        return None
    return {
        "columns": columns,
        "decisions": list(context.evaluation.decisions.get(head, {})),
        "plots": [
            forest
            for column, result in columns.items()
            if (forest := _forest(context, head, column, result)) is not None
        ],
    }


def _forest(context: Context, head: str, column: str, result: Mapping[str, Any]) -> Plot | None:
    rows = [(name, row) for name, row in result["groups"].items() if row["value"] is not None]
    if not rows:
        return None
    overall = context.evaluation.heads[head][result["metric"]]["value"]

    def draw(axes: Any) -> None:
        if overall is not None:
            axes.axvline(overall, color=GREY, linewidth=0.8, linestyle="--")
        for place, (name, row) in enumerate(rows):
            shade = colour(4) if name == result["worst"] else colour(0)
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [place, place], color=shade, linewidth=1.4)
            axes.plot(row["value"], place, "s", color=shade, markersize=5)
        axes.set_yticks(range(len(rows)), [f"{name} (n {row['n']})" for name, row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(f"{result['metric']}; dashed: all")

    text = "; ".join(f"{name}: {row['value']:.3f} of {row['n']}" for name, row in rows)
    return plot(f"By {column}", f"{result['metric']} by {column}: {text}.", draw, size=(5.2, 1.2 + 0.32 * len(rows)))
