"""The page: sections in their order, each from a module of its own and a template of the same name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from dermtl.evaluation.formatting import below_text, figure_text, interval_text, value_text
from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.explained import Explained
from dermtl.evaluation.report.sections import (
    calibration,
    confusion,
    data,
    decisions,
    errors,
    pictures,
    provenance,
    ranking,
    subgroups,
)
from dermtl.files.atomic import write_atomic
from dermtl.statistics.operating_point import NOBODY
from dermtl.tracking.curves import curves_svg
from dermtl.tracking.history import read_history

_OF_HEADS: Mapping[str, Callable[[Context, str], Mapping[str, Any] | Explained | None]] = {
    "decisions": decisions.view,
    "ranking": ranking.view,
    "confusion": confusion.view,
    "calibration": calibration.view,
    "units": lambda context, head: context.evaluation.units.get("heads", {}).get(head),
    "subgroups": subgroups.view,
    "errors": errors.view,
    "explained": lambda context, head: context.explained.get(head),
}


def write_report(path: Path, context: Context) -> None:
    """Write the report of an evaluation as one HTML file."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dermtl.evaluation.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=figure_text, value=value_text, interval=interval_text, below=below_text)
    environment.globals["nobody"] = NOBODY
    evaluation, history = context.evaluation, context.history
    text = environment.get_template("page.html.jinja").render(
        evaluation=evaluation,
        frozen=evaluation.predictions.decisions.facts,
        plans=context.plans,
        facts=context.card,
        own="leakage" not in evaluation.data,
        data=data.view(context),
        heads={
            head: {section: found for section, view in _OF_HEADS.items() if (found := view(context, head))}
            for head in evaluation.heads
        },
        pictures=pictures.view(context),
        is_drawn=context.predict is not None,
        curves=curves_svg(read_history(history)) if history and history.is_file() else "",
        provenance=provenance.view(context),
    )
    write_atomic(path, text)
