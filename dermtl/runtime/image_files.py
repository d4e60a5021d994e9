"""The pictures among files and folders that were named. Decodes nothing."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from dermtl.errors import DataError, ImageFault, ImageReadError
from dermtl.imaging.decode import SUFFIXES
from dermtl.imaging.suffixes import NOTES, is_picture


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the pictures in the folders named, at any depth.

    Folders are listed in the order of their paths' parts, without hidden files and folders; links to folders are not
    followed. Files that are named are taken whatever their suffix. Nothing is listed twice.

    Raises:
        ImageReadError: A path does not exist, or a folder cannot be listed.
        DataError: There is no picture at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(sorted(filter(is_picture, _files(path)), key=lambda file: file.parts)))
        elif path.exists():
            found[path] = None
        else:
            raise ImageReadError(
                "no such file or folder", where=str(path), hint="nothing was predicted", reason=ImageFault.MISSING
            )
    if not found:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError("no picture found", where=", ".join(map(str, paths)), hint=f"looked for {suffixes}")
    return list(found)


def find_others(paths: Sequence[Path]) -> list[Path]:
    """The files in the folders named that :func:`find_images` leaves out, except tables and texts."""
    files = (path for folder in paths if folder.is_dir() for path in _files(folder))
    return sorted(path for path in files if path.suffix.lower() not in NOTES and not is_picture(path))


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield Path(root, name)


def _refuse(error: OSError) -> NoReturn:
    """``os.walk`` would leave out a folder that cannot be listed."""
    raise ImageReadError(f"cannot be listed: {error.strerror}", where=str(error.filename)) from error
