"""A new distribution with a working head, written from the folder ``template`` beside this file."""

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from dermtl.errors import InputError
from dermtl.plugins.discovery import HEADS
from dermtl.plugins.installed import distribution_of, entry_points_of

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SUFFIX = ".tmpl"
_SUMMARIES = {
    "category": "one of several classes",
    "tags": "labels of which any number may hold",
    "circle": "a centre and a radius",
    "mask": "an outline",
    "number": "one number",
    "own": "a place in the picture, of a kind of its own",
}
_KIND_ROW = "| `{package}/kind.py` | how the truth is read, moves with the picture, comes back and is shown; NumPy |\n"


def render(name: str, kind: str, folder: Path) -> None:
    """Write a distribution.

    Args:
        name: Name of the head; its package is ``dermtl_<name>``.
        kind: category, tags, circle, mask, number or own.
        folder: Folder to write; new, or empty.

    Raises:
        InputError: The name is not valid for a head, is taken, or the folder is not empty.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"expected a name of lower-case letters, digits and single underscores, got {name!r}")
    if keyword.iskeyword(name):
        raise InputError(f"{name!r} is a word of Python, which no module can be named by", hint="choose another name")
    if owners := ", ".join(distribution_of(point) for point in entry_points_of(HEADS).get(name, [])):
        raise InputError(f"a head {name!r} is installed already, from {owners}", hint="choose another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("exists already", where=str(folder), hint="give another --into")
    values = {
        "name": name,
        "Name": "".join(part.capitalize() for part in name.split("_")),
        "package": f"dermtl_{name}",
        "distribution": f"dermtl-{name.replace('_', '-')}",
        "summary": _SUMMARIES[kind],
        "kind_row": _KIND_ROW.format(package=f"dermtl_{name}") if kind == "own" else "",
    }
    template = files("dermtl.plugins") / "template"
    for part in ("every", kind):
        _copy(template / part, folder, values)


def _copy(source: Traversable, folder: Path, values: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        name = entry.name.replace("PACKAGE", values["package"]).replace("NAME", values["name"])
        if entry.is_dir():
            _copy(entry, folder / name, values)
        elif name.endswith(_SUFFIX):
            text = Template(entry.read_text(encoding="utf-8")).substitute(values)
            (folder / name.removesuffix(_SUFFIX)).write_text(text, encoding="utf-8")
