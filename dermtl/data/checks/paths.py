"""Paths as a table writes them: do they stay inside the root, and does the file have that very name?"""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from unicodedata import normalize

from dermtl.data.checks.finding import Finding, found
from dermtl.kinds.record import safe_relative_path


def check_path(text: str, root: Path, where: str, column: str) -> Iterator[Finding]:
    """Faults of a path; one that leaves the root by its text is not looked for on the disk."""
    shown = repr(text)
    if any(ord(letter) < 32 for letter in text):
        yield found("path-control", where, f"the path {shown} holds control characters", column=column)
        return
    if "\\" in text:
        yield found("path-backslash", where, f"the path {shown} has backslashes", column=column)
    if text.startswith(("/", "\\")) or PureWindowsPath(text).drive:
        yield found("path-absolute", where, f"the path {shown} is absolute", column=column)
        return
    path = safe_relative_path(text)
    if path is None:
        yield found("path-parent", where, f"the path {shown} leaves the data's folder", column=column)
        return
    if _leaves(root, path):
        message = f"{shown} is, or lies behind, a link that leaves the data's folder"
        yield found("path-link", where, message, column=column)


def missing(path: str, root: Path, where: str, column: str, *, code: str) -> Finding:
    """The finding for a file that is not there, or is there under nearly this name."""
    near = nearly(root, path)
    if near is None:
        return found(code, where, f"there is no file {path!r}", column=column)
    is_form = normalize("NFC", near) == normalize("NFC", path)  # they look alike: show what is written
    names = (ascii(path), ascii(near)) if is_form else (repr(path), repr(near))
    return found("path-case", where, f"the file of {names[0]} is called {names[1]}", column=column)


def nearly(root: Path, path: str) -> str | None:
    """The path of an existing file that differs in upper and lower case, or in how marks are put on letters, only."""
    here: list[str] = []
    for part in path.split("/"):
        name = _names(root.joinpath(*here)).get(_folded(part))
        if name is None:
            return None
        here.append(name)
    return "/".join(here)


def _leaves(root: Path, path: str) -> bool:
    real = os.path.realpath(root)
    target = os.path.realpath(os.path.join(_real(root, os.path.dirname(path)), os.path.basename(path)))  # noqa: PTH118, PTH120, PTH119
    return not target.startswith(real.rstrip(os.sep) + os.sep)


@lru_cache(maxsize=4096)
def _real(root: Path, folder: str) -> str:
    return os.path.realpath(root / folder)


def _folded(name: str) -> str:
    """An umlaut may be one character, or, as a Mac writes it, a letter and a mark."""
    return normalize("NFC", name).casefold()


@lru_cache(maxsize=256)
def _names(folder: Path) -> dict[str, str]:
    try:
        return {_folded(name): name for name in os.listdir(folder)}  # noqa: PTH208
    except OSError:
        return {}
