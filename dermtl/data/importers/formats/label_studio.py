"""Label Studio's JSON export: tasks with choices, rectangles, ellipses and polygons in percent of the picture.

Strokes of the brush are left out and counted: export them as COCO or as PNG. So are choices for a single region.

Source: Label Studio's documentation, guide/export and guide/task_format.
"""

import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from dermtl.arrays import Array
from dermtl.data.importers.document import documents, entries, plain
from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import Pictures, folder_of
from dermtl.data.importers.objects import Shape, ellipse, numbers, object_cells, polygon, rectangle
from dermtl.data.importers.stated_size import refuse_other_size
from dermtl.errors import AnnotationError, ManifestError

_log = logging.getLogger(__name__)
_KEYS = ("annotations", "result", "data")
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")  # what an upload puts before the file's name
_PICTURE_KEYS = ("image", "img", "picture", "photo", "url")


class LabelStudio:
    """``label`` is the choice, or else the class of the largest region; a task's first finished annotation counts.

    If the project asks for several choices, each has a column of its name, and none is ``label``.
    """

    name = "label_studio"
    summary = "Label Studio: a JSON list of tasks with data, annotations and result"

    def recognises(self, source: Path) -> bool:
        """A JSON list with the keys of an export."""
        return bool(_documents(source))

    def read(self, source: Path) -> Iterator[Row]:
        """One row for each task that was annotated.

        Raises:
            DataError: A region cannot be understood, or the sizes are not the file's.
        """
        pictures, left_out = Pictures(folder_of(source)), Counter[str]()
        for path in _documents(source):
            tasks = _tasks(path)
            are_several = len({control for _, task in tasks for control in _controls(task)}) > 1
            for where, task in tasks:
                data = task["data"]
                name = next((plain(data[key]) for key in _PICTURE_KEYS if data.get(key)), "")
                if not name:
                    raise ManifestError(f"names no picture; its data has {', '.join(data)}", where=where)
                picture = _picture(name, pictures, where)
                done = _finished(task)
                left_out["further annotations of a task"] += max(len(done) - 1, 0)
                left_out["tasks without an annotation"] += not done
                if not done:
                    continue
                row: dict[str, str | Path | RenderedImage] = {
                    key: plain(value) for key, value in data.items() if key not in _PICTURE_KEYS
                }
                shapes = _shapes(done[0]["result"], picture, where, left_out)
                row |= {"image": picture, **object_cells(shapes, f"masks/{plain(task.get('id'))}")}
                for control, words in _controls(task).items():
                    row[control if are_several else "label"] = "|".join(dict.fromkeys(words))
                yield row
        if told := ", ".join(f"{num} {what}" for what, num in sorted(left_out.items()) if num):
            _log.warning("left out: %s", told)


def _finished(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for one in task["annotations"] if not one.get("was_cancelled")]


def _controls(task: Mapping[str, Any]) -> dict[str, list[str]]:
    """Name of a choice that was asked for to what was chosen for the whole picture."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in [entry for one in _finished(task)[:1] for entry in one["result"]]:
        value = entry.get("value") or {}
        if entry.get("type") == "choices" and set(value) == {"choices"}:  # that of a region repeats its place
            found[plain(entry.get("from_name"))] += map(plain, value["choices"])
    return found


def _shapes(results: list[Mapping[str, Any]], picture: Path, where: str, left_out: Counter[str]) -> list[Shape]:
    shapes: list[Shape] = []
    checked = None
    for entry in results:
        value, kind = entry.get("value") or {}, plain(entry.get("type"))
        if kind == "choices" and set(value) == {"choices"}:
            continue
        labels = value.get(kind) or [""]
        if kind not in ("polygonlabels", "rectanglelabels", "ellipselabels") or value.get("rotation"):
            left_out[f"regions of type {kind}{', rotated' if value.get('rotation') else ''}"] += 1
            continue
        width, height = numbers(entry, ("original_width", "original_height"), where)
        hw = (int(height), int(width))
        if hw != checked:
            refuse_other_size({"height": hw[0], "width": hw[1]}, picture, where)
            checked = hw
        scale = np.array([width, height]) / 100
        label = plain(labels[0])
        if kind == "polygonlabels":
            shapes.append(polygon(label, _corners(value.get("points"), scale, where), hw, where))
        elif kind == "rectanglelabels":
            x, y, wide, high = np.array(numbers(value, ("x", "y", "width", "height"), where)) * np.tile(scale, 2)
            shapes.append(rectangle(label, (float(x), float(y), float(wide), float(high)), where))
        else:
            x, y, rx, ry = np.array(numbers(value, ("x", "y", "radiusX", "radiusY"), where)) * np.tile(scale, 2)
            shapes.append(ellipse(label, (float(x), float(y)), (float(rx), float(ry)), hw))
    return shapes


def _corners(points: Any, scale: Array, where: str) -> Array:
    try:
        return np.asarray(points, np.float64) * scale
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"expected pairs of x and y, got {points!r}", where=where) from error


def _picture(text: str, pictures: Pictures, where: str) -> Path:
    parts = urlsplit(text)
    query = parts.query.removeprefix("d=") if parts.query.startswith("d=") else ""  # a path of local storage
    name = unquote(query or parts.path).replace("\\", "/").rpartition("/")[2]
    match = _UPLOAD.fullmatch(name)
    return pictures.find(name, where) or pictures.require(match.group(1) if match else name, where)


def _documents(source: Path) -> list[Path]:
    return [path for path in documents(source, _KEYS) if _begins_as_list(path)]


def _begins_as_list(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"[")


def _tasks(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Place and task; annotations and their results are lists of objects."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(f"is not readable JSON: {error}", where=str(path)) from error
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        raise AnnotationError("expected a list of tasks", where=str(path))
    tasks = [(f"{path.name}: task {task.get('id')}", task) for task in content]
    for where, task in tasks:
        if not isinstance(task.get("data"), dict):
            raise AnnotationError(f"data: expected an object, got {task.get('data')!r}", where=where)
        task["annotations"] = entries(task, "annotations", where)
        for one in task["annotations"]:
            one["result"] = entries(one, "result", where)
    return tasks


importer = LabelStudio()
