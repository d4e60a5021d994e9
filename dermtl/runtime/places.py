"""Where what is made of each picture goes: the folders of the pictures, again, below another folder."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dermtl.errors import InputError


def place_files(files: Sequence[Path], inputs: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Each picture's path below the folder that all inputs share, put below another folder.

    Args:
        files: The pictures.
        inputs: The files and folders that were named.
        folder: Where things go.

    Raises:
        InputError: ``folder`` lies inside a folder of pictures.
    """
    inside = folder.resolve()
    for path in inputs:
        if path.is_dir() and inside.is_relative_to(path.resolve()):
            hint = "the next run would predict its pictures; choose a folder elsewhere"
            raise InputError(f"lies inside {path}, which is read", where=str(folder), hint=hint)
    # The inputs' folder, not the files': it is the same for every shard.
    top = os.path.commonpath([_plain(path if path.is_dir() else path.parent) for path in inputs])
    return {file: folder / os.path.relpath(_plain(file), top) for file in files}


def refuse_existing(paths: Iterable[Path]) -> None:
    """Check that nothing would be replaced.

    Raises:
        InputError: Something would.
    """
    for path in paths:
        if path.exists():
            raise InputError("exists already", where=str(path), hint="choose another folder, or pass --overwrite")


def _plain(path: Path) -> str:
    """An absolute path without dotted parts; links stay, since two pictures may be links to one."""
    return os.path.normpath(path.absolute())
