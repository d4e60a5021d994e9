"""Atomic writing: a reader, or a resumed run, sees either the old file or the whole new one.

Data are written to a new file beside the old one and flushed to the disk; then the new file takes the old name. Knows
nothing of the content.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dermtl.errors import DataError


@contextmanager
def new_version(path: Path) -> Iterator[Path]:
    """An empty file beside ``path``, to be written in the block; it replaces ``path`` if the block ends normally.

    Args:
        path: The file; missing folders are made.

    Raises:
        DataError: The folder cannot be written, or the disk is full. An older file is not changed, nor if the block
            raises any other exception.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("xb") as file:
                mode = os.fstat(file.fileno()).st_mode
            yield draft
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.chmod(mode)  # safetensors makes files that only their owner can read
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(path)) from error


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file whole or not at all, as :func:`new_version` does.

    Args:
        path: The file.
        data: Bytes, or text that is written as UTF-8 with its line ends as they are.

    Raises:
        DataError: The folder cannot be written, or the disk is full; an older file is not changed.
    """
    with new_version(path) as draft:
        draft.write_bytes(data.encode() if isinstance(data, str) else data)


def sync_folder(folder: Path) -> None:
    """Flush the names of a folder's files to the disk, for example before a replaced file is removed.

    Does nothing on Windows, which cannot flush folders.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_file_as_folder(folder: Path) -> None:
    """Refuse a folder that could not be made, before hours of work whose results belong there.

    Raises:
        DataError: A file has the name of the folder, or of a folder above it.
    """
    for path in (folder, *folder.parents):
        if path.exists():
            if not path.is_dir():
                raise DataError("is a file, a folder is needed", where=str(path), hint="give another folder")
            return


def refuse_used_folder(folder: Path, *, hint: str, except_for: Path | None = None) -> None:
    """Refuse a folder that could not be made, or that holds files already.

    Args:
        folder: The folder that is to be written.
        hint: What to do instead.
        except_for: A file that may lie in the folder.

    Raises:
        DataError: A file has the name of the folder or of one above it, or the folder is not empty.
    """
    refuse_file_as_folder(folder)
    allowed = except_for.absolute() if except_for else None
    if folder.exists() and any(path.absolute() != allowed for path in folder.iterdir()):
        raise DataError("exists already", where=str(folder), hint=hint)


def link_atomic(source: Path, path: Path) -> None:
    """Give a file a second name, whole or not at all; a copy, if the file system knows no hard links.

    Only for files that are replaced and never written into: both names stay with the same content.

    Raises:
        DataError: The folder of ``path`` cannot be written, the disk is full, or ``source`` cannot be read.
    """
    with new_version(path) as draft:
        draft.unlink()
        try:
            os.link(source, draft)
        except OSError:
            shutil.copyfile(source, draft)
