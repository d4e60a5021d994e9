"""YOLO as Ultralytics trains it: ``data.yaml``, ``images/.../x.jpg`` and ``labels/.../x.txt``.

A line is a class's number with centre, width and height of a box, or with the corners of a polygon, all as shares of
the picture as it is shown. A picture without a file of labels, or with an empty one, holds no object; a set without any
file of labels is refused, and so is one with key points, which would read as polygons.

Source: Ultralytics' documentation, datasets/detect and datasets/segment.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import files_of, folder_of
from dermtl.data.importers.objects import Shape, object_cells, polygon, rectangle
from dermtl.errors import AnnotationError, ManifestError
from dermtl.imaging.decode import SUFFIXES, read_size

_SPLITS = ("train", "val", "test")
_OUTSIDE = 0.01  # by which Ultralytics lets a share leave 0..1


class Yolo:
    """``label`` and circle are the largest object's; polygons become the mask."""

    name = "yolo"
    summary = "YOLO: data.yaml with names and train, images and labels"

    def recognises(self, source: Path) -> bool:
        """A YAML file with ``names`` and ``train``."""
        return bool(_descriptions(source))

    def read(self, source: Path) -> Iterator[Row]:
        """One row for each picture of the splits that the YAML file names.

        Raises:
            DataError: The YAML file, a list or a line of labels cannot be understood.
        """
        found = _descriptions(source)
        if len(found) != 1:
            names = ", ".join(path.name for path in found)
            raise ManifestError(f"several YAML files describe data: {names}", where=str(source), hint="name one")
        path, folder = found[0], folder_of(source)
        content = _load(path)
        if "kpt_shape" in content:
            raise ManifestError("describes key points (kpt_shape), which are not read", where=path.name)
        classes, num_labelled = _classes(content["names"], path), 0
        for split in _SPLITS:
            for place in _places(content.get(split), content.get("path"), path, folder, split):
                for picture in _pictures(place):
                    labels = _labels(picture)
                    num_labelled += labels.is_file()
                    shapes = _shapes(labels, picture, classes) if labels.is_file() and picture.is_file() else []
                    inner = picture.relative_to(folder).with_suffix("").as_posix()
                    cells: dict[str, str | Path | RenderedImage] = object_cells(shapes, f"masks/{inner}")
                    yield {"image": picture, "split": split, **cells}
        if not num_labelled:
            hint = "labels/x.txt belongs to images/x.jpg, or lies beside it"
            raise ManifestError("no picture has a file of labels", where=path.name, hint=hint)


def _descriptions(source: Path) -> list[Path]:
    files = [source] if source.is_file() else files_of(source, {".yaml", ".yml"}, 2)
    return [
        path for path in files if path.suffix.lower() in (".yaml", ".yml") and {"names", "train"} <= set(_load(path))
    ]


def _load(path: Path) -> dict[str, Any]:
    """The file with every value as text: YAML 1.1 takes classes called ``no`` and ``1e3`` for other things."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _classes(names: Any, path: Path) -> dict[int, Any]:
    try:
        return dict(enumerate(names)) if isinstance(names, list) else {int(key): name for key, name in names.items()}
    except (AttributeError, ValueError) as error:
        message = f"names: expected a list, or number to name, got {names!r}"
        raise ManifestError(message, where=path.name) from error


def _places(value: Any, root: Any, path: Path, folder: Path, split: str) -> list[Path]:
    """The folders and lists that an entry names; paths of another machine are looked for by their ends."""
    found = []
    texts = value if isinstance(value, list) else [value] if value not in (None, "", "null", "~") else []
    for text in texts:
        parts = PurePosixPath(str(text).replace("\\", "/")).parts
        parts = tuple(part for part in parts if part not in ("..", ".", "/"))
        tops = [path.parent / str(root or ""), path.parent, folder]
        ends = [Path(*parts[start:]) for start in range(len(parts))]
        place = next((top / end for end in ends for top in tops if (top / end).exists()), None)
        if place is None:
            hint = "correct the path in the YAML file"
            raise ManifestError(f"{split}: there is no {text!r} in {folder}", where=path.name, hint=hint)
        found.append(place)
    return found


def _pictures(place: Path) -> list[Path]:
    if place.is_dir():
        return files_of(place, SUFFIXES, 8)
    lines = place.read_text(encoding="utf-8").splitlines()
    return [place.parent / line.strip().removeprefix("./") for line in lines if line.strip()]


def _labels(picture: Path) -> Path:
    """The file of labels: ``labels`` in place of the last ``images``."""
    parts = list(picture.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _shapes(labels: Path, picture: Path, classes: Mapping[int, Any]) -> list[Shape]:
    height, width = hw = read_size(picture)
    shapes = []
    for number, line in enumerate(labels.read_text(encoding="utf-8").splitlines(), 1):
        where, words = f"{labels.name}:{number}", line.split()
        if not words:
            continue
        try:
            label = str(classes[int(words[0])])
            shares = np.array([float(word) for word in words[1:]])
        except (KeyError, ValueError) as error:
            raise AnnotationError(f"expected a class's number and shares, got {line!r}", where=where) from error
        if not (np.abs(shares - 0.5) <= 0.5 + _OUTSIDE).all():  # NaN, too
            raise AnnotationError(f"expected shares of the picture from 0 to 1, got {line!r}", where=where)
        if len(shares) == 4:
            cx, cy, wide, high = shares * (width, height, width, height)
            shapes.append(rectangle(label, (cx - wide / 2, cy - high / 2, wide, high), where))
        elif len(shares) >= 6 and len(shares) % 2 == 0:
            shapes.append(polygon(label, shares.reshape(-1, 2) * (width, height), hw, where))
        else:
            raise AnnotationError(
                f"expected a box of 4 numbers or a polygon of 6 or more, got {len(shares)}", where=where
            )
    return shapes


importer = Yolo()
