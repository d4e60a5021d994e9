"""Paths of files that are made from pictures: the pictures' folders, repeated below another folder."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dermtl.errors import InputError


class OutputPaths:
    """Maps a picture to its path below an output folder.

    Args:
        folder: The output folder.
        inputs: The files and folders that were named.

    Raises:
        InputError: The output folder lies inside a folder of pictures.
    """

    def __init__(self, folder: Path, inputs: Sequence[Path]) -> None:
        resolved = folder.resolve()
        for path in inputs:
            if path.is_dir() and resolved.is_relative_to(path.resolve()):
                hint = "the next run would predict its pictures; choose a folder elsewhere"
                raise InputError(f"lies inside {path}, which is read", where=str(folder), hint=hint)
        self._folder = folder
        # The folder that all inputs share, not all files: it is the same for every shard.
        self._top = os.path.commonpath([_absolute(path if path.is_dir() else path.parent) for path in inputs])

    def of(self, file: Path) -> Path:
        """The picture's path relative to the folder that all inputs share, below the output folder."""
        return self._folder / os.path.relpath(_absolute(file), self._top)


def refuse_existing(paths: Iterable[Path]) -> None:
    """Check that no file would be replaced.

    Raises:
        InputError: A file exists.
    """
    for path in paths:
        if path.exists():
            raise InputError("exists already", where=str(path), hint="choose another folder, or pass --overwrite")


def _absolute(path: Path) -> str:
    """An absolute path without dotted parts; links stay, since two pictures may be links to one."""
    return os.path.normpath(path.absolute())
