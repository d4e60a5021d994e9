"""MedMNIST: ``<flag>.npz`` or ``<flag>_<size>.npz`` with pictures and labels a split.

The archive is read picture by picture, so the large versions need no more memory than the small ones; nothing in it is
unpickled. Source: Yang et al. 2023, doi 10.1038/s41597-022-01721-8.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from dermtl.arrays import Array
from dermtl.data.importers.importer import RenderedImage, Row
from dermtl.data.importers.layout import files_of
from dermtl.errors import ManifestError

_SPLITS = ("train", "val", "test")


class MedMnist:
    """``label`` is the number of the class; the sets of several labels have a 0/1 column ``label_<k>`` a label."""

    name = "medmnist"
    summary = "<flag>.npz with train_images, train_labels, val_images, ..."

    def recognises(self, source: Path) -> bool:
        """An npz that names the arrays of MedMNIST, or a folder with one."""
        return bool(_archives(source))

    def read(self, source: Path) -> Iterator[Row]:
        """The pictures of all splits, to be written as PNG, with ``label`` and ``split``.

        Raises:
            ManifestError: The archive is damaged, holds volumes, or the folder holds several archives.
        """
        found = _archives(source)
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise ManifestError(f"expected one archive, got {names}", where=str(source), hint="name one of them")
        try:
            yield from _rows(found[0])
        except (zipfile.BadZipFile, EOFError, ValueError, KeyError, OSError) as error:
            raise ManifestError(f"is not a readable npz: {error}", where=str(found[0])) from error


def _archives(source: Path) -> list[Path]:
    files = [source] if source.is_file() else files_of(source, {".npz"}, depth=1)
    return [path for path in files if path.suffix.lower() == ".npz" and "train_images.npy" in _members(path)]


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return []


def _rows(path: Path) -> Iterator[Row]:
    with zipfile.ZipFile(path) as archive:
        for split in (split for split in _SPLITS if f"{split}_images.npy" in archive.namelist()):
            with _array(archive, f"{split}_labels") as (file, shape, dtype):
                labels = np.frombuffer(_exactly(file, int(np.prod(shape)) * dtype.itemsize), dtype).reshape(
                    shape[0], -1
                )
            with _array(archive, f"{split}_images") as (file, shape, dtype):
                _refuse(shape, dtype, len(labels), path)
                for index, label in enumerate(labels):
                    pixels = np.frombuffer(_exactly(file, int(np.prod(shape[1:]))), dtype).reshape(shape[1:])
                    image = RenderedImage(f"{split}/{index:06}", partial(_same, pixels))
                    yield {"image": image, **_cells(label), "split": split}


def _refuse(shape: tuple[int, ...], dtype: np.dtype[Any], num_labels: int, path: Path) -> None:
    is_plane = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
    if dtype != np.uint8 or not is_plane:
        hint = "the three-dimensional sets cannot be imported"
        raise ManifestError(
            f"expected uint8 [n, h, w] or [n, h, w, 3], got {dtype} {shape}", where=path.name, hint=hint
        )
    if shape[0] != num_labels:
        raise ManifestError(f"holds {shape[0]} pictures but {num_labels} labels", where=path.name)


def _cells(label: Array) -> dict[str, str]:
    if len(label) == 1:
        return {"label": str(int(label[0]))}
    return {f"label_{index}": str(int(value)) for index, value in enumerate(label)}


@contextmanager
def _array(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[Any]]]:
    """A member's data, its shape and type; an array of objects, which only pickle reads, is refused."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = reader(file)
        if dtype.hasobject or is_fortran:
            raise ValueError(f"{name}: expected plain numbers in C order")
        yield file, shape, dtype


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError("it ends within a picture")
    return data


def _same(pixels: Array) -> Array:
    return pixels


importer = MedMnist()
