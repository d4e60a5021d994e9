"""Letterboxed pictures kept after they were first decoded, in memory or on disk, shared by worker processes.

Workers share the open file, however they were started: a forked one inherits it, one that was started anew is handed it
with the examples. A cache in memory has no name, so the system frees it with the last process, killed or not.

One file holds a table of (checksum, height, width) and the pixels, a fixed place for each record. A row counts only if
its checksum fits, and the checksum is written last: a torn or damaged row reads as absent and is written again.
The file's name follows from every picture's path, size and time of change, and from the letterbox's size.
"""

import errno
import hashlib
import logging
import os
import shutil
import struct
import tempfile
import weakref
import zlib
from collections.abc import Callable, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.kinds.record import Record

_log = logging.getLogger(__name__)
_ENTRY = struct.Struct("<III")  # CRC-32 of the pixels, height and width of the source in pixels
_LAYOUT = 3  # raised with every change of the letterbox or of this file's form
_SHARE = 0.5  # of the free memory that a cache in memory may take


class PictureCache:
    """A place for each record's letterboxed picture.

    Args:
        descriptor: An open file, at least :meth:`num_bytes` long; owned from here on.
        num: Number of records.
        size: Side of the pictures in pixels.
    """

    def __init__(self, descriptor: int, num: int, size: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._num = num
        self._size = size

    def __reduce__(self) -> tuple[Callable[..., "PictureCache"], tuple[Any, int, int]]:
        """For a worker process that was not forked: a descriptor's number means nothing there, so the file is sent."""
        return _handed_on, (DupFd(self._descriptor), self._num, self._size)

    @staticmethod
    def num_bytes(num: int, size: int) -> int:
        """Length of the file."""
        return num * (_ENTRY.size + 3 * size * size)

    def get(self, index: int) -> tuple[Array, tuple[int, int]] | None:
        """The picture, uint8 [S, S, 3], and the source's height and width; None where there is none."""
        checksum, height, width = _ENTRY.unpack(os.pread(self._descriptor, _ENTRY.size, index * _ENTRY.size))
        if not height:
            return None
        pixels = os.pread(self._descriptor, 3 * self._size**2, self._place(index))
        if zlib.crc32(pixels) != checksum:
            return None
        return np.frombuffer(pixels, np.uint8).reshape(self._size, self._size, 3), (height, width)

    def put(self, index: int, image: Array, source_hw: tuple[int, int]) -> None:
        """Keep a picture; a full disk only costs the keeping."""
        pixels = np.ascontiguousarray(image).tobytes()
        try:
            os.pwrite(self._descriptor, pixels, self._place(index))
            entry = _ENTRY.pack(zlib.crc32(pixels), *source_hw)
            os.pwrite(self._descriptor, entry, index * _ENTRY.size)
        except OSError as error:
            _log.warning("a picture was not cached: %s", error.strerror)

    def _place(self, index: int) -> int:
        return self._num * _ENTRY.size + index * 3 * self._size**2


def open_cache(mode: str, records: Sequence[Record], size: int, folder: Path | None = None) -> PictureCache | None:
    """The cache of some records, its size told; None where none is wanted, or, with a warning, where there is no room.

    Args:
        mode: ``off``, ``ram`` (gone with the process) or ``disk`` (found again by later runs, and by others now).
        records: In the order of the indices.
        size: Side of the letterboxed pictures in pixels.
        folder: Of caches on disk; default: ``dermtl`` in the user's cache folder.
    """
    if mode == "off" or not records:
        return None
    needed = PictureCache.num_bytes(len(records), size)
    told = f"{len(records)} pictures of {size} px take {needed / 1e6:,.0f} MB"
    try:
        if mode == "disk":
            path = (folder or cache_folder()) / f"{pictures_key(records, size)}.pictures"
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            told += f" in {path}"
        else:
            if needed > _SHARE * _free_memory():
                _log.warning("no cache: %s, more than half of the free memory (training.cache: disk)", told)
                return None
            descriptor = _memory_file()
    except OSError as error:
        _log.warning("no cache: %s; %s", told, error.strerror)
        return None
    try:
        if mode == "disk":
            _reserve(path, descriptor, needed)  # a full disk is found now, not in the middle of an epoch
        else:
            os.ftruncate(descriptor, needed)
    except OSError as error:
        os.close(descriptor)
        if mode == "disk":
            path.unlink(missing_ok=True)
        _log.warning("no cache: %s; %s", told, error.strerror)
        return None
    _log.info("cache: %s", told)
    return PictureCache(descriptor, len(records), size)


def pictures_key(records: Sequence[Record], size: int) -> str:
    """Names some pictures, by path, size and time of change, at a side of the letterbox in pixels."""
    digest = hashlib.blake2b(f"{_LAYOUT},{size}".encode(), digest_size=20)
    for record in records:
        status = record.path.stat()
        digest.update(f"\0{record.path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()


def cache_folder() -> Path:
    """``dermtl`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dermtl"


def _handed_on(handle: Any, num: int, size: int) -> PictureCache:
    return PictureCache(handle.detach(), num, size)


def _reserve(path: Path, descriptor: int, num_bytes: int) -> None:
    """Make a file so long, with room on the disk for all of it.

    Raises:
        OSError: There is no such room.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            return os.posix_fallocate(descriptor, 0, num_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that does not reserve
                raise
    # Not on macOS. A sparse file takes its room page by page, so what is free now has to do.
    if num_bytes - os.fstat(descriptor).st_blocks * 512 > shutil.disk_usage(path.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, num_bytes)


def _memory_file() -> int:
    """An unnamed file in memory; an unnamed temporary file where the system has none, as on macOS."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dermtl-pictures")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _free_memory() -> int:
    """Bytes that may be taken; all of the machine's where the system does not say what is free."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
