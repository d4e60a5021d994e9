"""Letterboxed pictures, stored after they were first decoded, in memory or on disk, and shared by worker processes.

Workers share one open file: a forked worker inherits it, a spawned worker receives it with the examples. A cache in
memory has no name, so the system frees it when the last process ends or is killed.

The file has a table of (checksum, height, width) and the pixels, with a fixed offset for each record. An entry is valid
if its checksum matches. The checksum is written last, so an incomplete or damaged entry counts as missing and is
written again. The name of a file on disk depends on path, size and modification time of every picture, and on the size
of the letterbox.
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
_LAYOUT = 3  # to be raised with every change of the letterbox or of the file's layout
_MAX_SHARE = 0.5  # largest share of the free memory for a cache in memory


class PictureCache:
    """Stores the letterboxed picture of each record.

    Args:
        descriptor: Open file of at least :meth:`num_bytes`, which the cache closes.
        num: Number of records.
        size: Side of the pictures in pixels.
    """

    def __init__(self, descriptor: int, num: int, size: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._num = num
        self._size = size

    def __reduce__(self) -> tuple[Callable[..., "PictureCache"], tuple[Any, int, int]]:
        """Pickle for a spawned worker, in which the descriptor's number is invalid, so the open file is sent."""
        return _unpickle, (DupFd(self._descriptor), self._num, self._size)

    @staticmethod
    def num_bytes(num: int, size: int) -> int:
        """Length of the file in bytes."""
        return num * (_ENTRY.size + 3 * size * size)

    def get(self, index: int) -> tuple[Array, tuple[int, int]] | None:
        """A picture, uint8 [S, S, 3], and height and width of its source; None if it is not stored."""
        checksum, height, width = _ENTRY.unpack(os.pread(self._descriptor, _ENTRY.size, index * _ENTRY.size))
        if not height:
            return None
        pixels = os.pread(self._descriptor, 3 * self._size**2, self._offset(index))
        if zlib.crc32(pixels) != checksum:
            return None
        return np.frombuffer(pixels, np.uint8).reshape(self._size, self._size, 3), (height, width)

    def put(self, index: int, image: Array, source_hw: tuple[int, int]) -> None:
        """Store a picture; if the disk is full, log a warning."""
        pixels = np.ascontiguousarray(image).tobytes()
        try:
            os.pwrite(self._descriptor, pixels, self._offset(index))
            entry = _ENTRY.pack(zlib.crc32(pixels), *source_hw)
            os.pwrite(self._descriptor, entry, index * _ENTRY.size)
        except OSError as error:
            _log.warning("a picture was not cached: %s", error.strerror)

    def _offset(self, index: int) -> int:
        return self._num * _ENTRY.size + index * 3 * self._size**2


def open_cache(mode: str, records: Sequence[Record], size: int, folder: Path | None = None) -> PictureCache | None:
    """The cache of some records; None if no cache is wanted or, with a warning, if there is not enough room.

    Args:
        mode: ``off``, ``ram`` (freed with the process) or ``disk`` (shared with other runs).
        records: Records in the order of their indices.
        size: Side of the letterboxed pictures in pixels.
        folder: Folder of caches on disk; default: ``dermtl`` in the user's cache folder.
    """
    if mode == "off" or not records:
        return None
    needed = PictureCache.num_bytes(len(records), size)
    summary = f"{len(records)} pictures of {size} px take {needed / 1e6:,.0f} MB"
    try:
        if mode == "disk":
            path = (folder or cache_folder()) / f"{pictures_key(records, size)}.pictures"
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            summary += f" in {path}"
        else:
            if needed > _MAX_SHARE * _free_memory():
                _log.warning("no cache: %s, more than half of the free memory (training.cache: disk)", summary)
                return None
            descriptor = _memory_file()
    except OSError as error:
        _log.warning("no cache: %s; %s", summary, error.strerror)
        return None
    try:
        if mode == "disk":
            _reserve(path, descriptor, needed)  # find a full disk now, not in the middle of an epoch
        else:
            os.ftruncate(descriptor, needed)
    except OSError as error:
        os.close(descriptor)
        if mode == "disk":
            path.unlink(missing_ok=True)
        _log.warning("no cache: %s; %s", summary, error.strerror)
        return None
    _log.info("cache: %s", summary)
    return PictureCache(descriptor, len(records), size)


def pictures_key(records: Sequence[Record], size: int) -> str:
    """Name of a cache: a digest of path, size and modification time of every picture, and of the letterbox side."""
    digest = hashlib.blake2b(f"{_LAYOUT},{size}".encode(), digest_size=20)
    for record in records:
        status = record.path.stat()
        digest.update(f"\0{record.path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()


def cache_folder() -> Path:
    """``dermtl`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dermtl"


def _unpickle(handle: Any, num: int, size: int) -> PictureCache:
    return PictureCache(handle.detach(), num, size)


def _reserve(path: Path, descriptor: int, num_bytes: int) -> None:
    """Extend a file, with room on the disk for all of it.

    Raises:
        OSError: There is not enough room.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            return os.posix_fallocate(descriptor, 0, num_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that does not reserve
                raise
    # macOS. A sparse file takes its room page by page, so there must be enough free room now.
    if num_bytes - os.fstat(descriptor).st_blocks * 512 > shutil.disk_usage(path.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, num_bytes)


def _memory_file() -> int:
    """An unnamed file in memory; on systems without, such as macOS, an unnamed temporary file."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dermtl-pictures")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _free_memory() -> int:
    """Free memory in bytes; all memory if the system does not report what is free."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
