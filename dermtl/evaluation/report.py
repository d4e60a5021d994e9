"""One HTML file that needs nothing else: figures with intervals, curves, pictures, provenance."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from dermtl.data.atomic import write_atomic
from dermtl.evaluation.evaluate import Evaluation
from dermtl.evaluation.subject import Subject
from dermtl.imaging.affine import Array
from dermtl.imaging.decode import read_image, read_image_for
from dermtl.kinds import Record
from dermtl.runtime.prediction import Prediction
from dermtl.tracking.curves import curves_svg
from dermtl.tracking.history import read_history

_PICTURES = 8
_THUMBNAIL_PX = 360


def write_report(path: Path, evaluation: Evaluation, subject: Subject, records: Sequence[Record]) -> None:
    """Write the report of an evaluation.

    Args:
        path: The HTML file.
        evaluation: The figures.
        subject: What was evaluated; predicts the pictures that are shown.
        records: What it was evaluated on.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dermtl.evaluation", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["figure"] = lambda value: "not estimable" if value is None else f"{value:.4g}"
    text = environment.get_template("report.html.jinja").render(
        evaluation=evaluation,
        plans=subject.plans,
        pictures=_pictures(subject, records),
        curves=curves_svg(read_history(subject.history)) if subject.history and subject.history.is_file() else "",
        facts=list(_flat(subject.facts)),
    )
    write_atomic(path, text)


def _pictures(subject: Subject, records: Sequence[Record]) -> list[tuple[str, str, str]]:
    """Name, truth and prediction of some records, evenly spread, as data URLs."""
    kinds = {name: kind for plan in subject.plans.values() for name, kind in plan.outputs.items()}
    chosen = records[:: max(1, len(records) // _PICTURES)][:_PICTURES]
    predictor, shown = subject.predictor, []
    seen = [read_image_for(record.path, predictor.size) for record in chosen]
    for record, values in zip(chosen, predictor.predict_values(seen), strict=True):
        image = read_image(record.path)
        height, width = image.shape[:2]
        drawn = Prediction((height, width), values, kinds).draw(image)
        truth = ", ".join(_truth(subject, record))
        shown.append((record.image, truth, _data_url(drawn)))
    return shown


def _truth(subject: Subject, record: Record) -> list[str]:
    """The annotations that read as text."""
    texts = []
    for name, plan in subject.plans.items():
        column = getattr(plan.target, "column", "")
        if column and not plan.target.spatial and record.cells.get(column, "").strip():
            texts.append(f"{name}: {record.cells[column].strip()}")
    return texts


def _data_url(pixels: Array) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
