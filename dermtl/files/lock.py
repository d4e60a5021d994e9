"""Locks on files, so that one process at a time writes; the system releases a lock when its process ends."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger(__name__)
_FAR = 2**30  # Windows prevents reading of locked bytes: lock a byte beyond the end of the file


@contextmanager
def locked(path: Path) -> Iterator[Callable[[], None]]:
    """Lock a file against other processes that do the same; the file is created if it does not exist.

    On a file system without locks it continues without a lock, with a warning in the log.

    Args:
        path: The file; its folder exists.

    Returns:
        A function that removes the file, to be called at the end or not at all.

    Raises:
        BlockingIOError: Another process holds the lock.
        OSError: The file cannot be opened.
    """
    file = _hold(path)
    while not _is(file, path):  # another process removed the file in between
        os.close(file)
        file = _hold(path)
    is_open = True

    def remove() -> None:
        nonlocal is_open
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(file)
            is_open = False
        path.unlink()

    try:
        yield remove
    finally:
        if is_open:
            os.close(file)


def _hold(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(file)
    except BlockingIOError:
        os.close(file)
        raise
    except OSError as error:
        _log.warning("no locks here (%s): a second process would not be noticed", error.strerror)
    return file


def _is(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
