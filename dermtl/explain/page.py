"""An explanation as files: one self-contained HTML page, and every picture as PNG beside it."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from dermtl.explain.explain import Explanation
from dermtl.explain.heat import enlarged, overlay
from dermtl.explain.sanity import LIMIT
from dermtl.files.atomic import write_atomic
from dermtl.kinds.drawing import PALETTE

_MAP_PX = 640
_MARGIN = 16
TITLES: Mapping[str, str] = {
    "input_gradient": "input gradient",
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "integrated gradients",
}


def write_explanation(folder: Path, explanation: Explanation) -> Path:
    """Write ``explanation.html``, ``case-01.picture.png``, ``case-01.<method>.png`` ..., ``cases.csv`` and ``map.csv``.

    No name of a picture is in the page or in a file's name; ``cases.csv`` and ``map.csv`` hold them.

    Returns:
        The page.
    """
    shown = []
    for case in explanation.cases:
        pictures = {"picture": enlarged(case.picture)}
        pictures |= {method: overlay(case.picture, heat) for method, heat in case.maps.items()}
        contents = {part: _png(picture) for part, picture in pictures.items()}
        for part, content in contents.items():
            write_atomic(folder / f"{case.name}.{part}.png", content)
        shown.append((case, {part: _data_url(content) for part, content in contents.items()}))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dermtl.explain", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    text = environment.get_template("page.html.jinja").render(
        explanation=explanation, cases=shown, titles=TITLES, limit=LIMIT, map=_map(explanation), side=_MAP_PX
    )
    explanation.write_tables(folder)
    write_atomic(folder / "explanation.html", text)
    return folder / "explanation.html"


def _map(explanation: Explanation) -> dict[str, Any]:
    """Legend and points of the map; errors come last, so that they lie on top."""
    scan, plane = explanation.scan, explanation.plane
    if scan is None or plane is None:
        return {}
    cases = {index: case.name for index, case in zip(explanation.worst, explanation.cases, strict=True)}
    colours = [f"rgb{PALETTE[index % len(PALETTE)]}" for index in range(len(scan.names))]
    points = []
    for index in np.argsort(scan.is_error, kind="stable").tolist():
        truth = scan.truth[index]
        x, y = (_MARGIN + plane[index] * (_MAP_PX - 2 * _MARGIN)).round(1).tolist()
        colour = colours[int(truth.argmax())] if truth.any() else "rgb(150, 150, 150)"
        text = f"{scan.text(truth)}, taken for {scan.text(scan.decided[index])}"
        is_error = bool(scan.is_error[index])
        points.append({"x": x, "y": y, "colour": colour, "is_error": is_error, "case": cases.get(index), "text": text})
    return {"legend": list(zip(scan.names, colours, strict=True)), "points": points}


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _data_url(png: bytes) -> str:
    """Data URL of a picture as JPEG, which is small: the page holds many."""
    content = io.BytesIO()
    Image.open(io.BytesIO(png)).save(content, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
