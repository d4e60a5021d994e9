"""Reading of untrusted zip archives, in which a few kilobytes can unpack to gigabytes.

No more is unpacked than an archive declares, and the declared size is bounded by the size of the archive.
"""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from dermtl.arrays import Array

ALWAYS = 64 * 2**20  # bytes that any archive may unpack to
RATIO = 100  # largest ratio of unpacked to packed bytes beyond that; float32 arrays rarely reach 10
# Exceptions of zipfile, zlib and NumPy for damaged bytes, whose flags may claim encryption or an unknown method.
DAMAGED = (
    OSError, ValueError, EOFError, RuntimeError, MemoryError, struct.error, zlib.error, zipfile.BadZipFile
)  # fmt: skip


def refuse_inflated(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that would unpack to far more than its size, before anything is unpacked.

    Args:
        archive: Opened for reading.

    Raises:
        ValueError: The archive would unpack to more than 64 MiB and to more than 100 times its packed size.
    """
    packed = sum(entry.compress_size for entry in archive.infolist())
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > max(ALWAYS, RATIO * packed):
        raise ValueError(
            f"{packed / 2**20:.3g} MiB would unpack to {unpacked / 2**20:.3g} MiB, "
            f"expected at most {ALWAYS / 2**20:g} MiB or {RATIO} times as much"
        )


def read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """One entry, unpacked up to its declared size; ``ZipFile.read`` would unpack everything first.

    Raises:
        KeyError: There is no such entry.
        zipfile.BadZipFile: The entry is damaged, or longer than declared.
    """
    with archive.open(name) as file:
        return file.read(archive.getinfo(name).file_size)


def read_arrays(source: Path | bytes) -> dict[str, Array]:
    """The arrays of a ``.npz`` by name, without Python objects.

    Raises:
        ValueError: The archive would unpack to far more than its packed size allows, or an array is damaged.
        OSError: The file cannot be read.
        zipfile.BadZipFile: The archive is no zip, or damaged.
    """
    with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
        refuse_inflated(archive)
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(
                io.BytesIO(read_entry(archive, name)), allow_pickle=False
            )
            for name in archive.namelist()
        }
