"""What each head's metrics measured of every record, as a file: figures can be resampled and compared from it."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermtl.data.atomic import write_atomic
from dermtl.errors import DataError
from dermtl.imaging.affine import Array

_INDICES = "indices"
_TABLE = "table"


@dataclass(frozen=True)
class Measured:
    """One head's table.

    Attributes:
        indices: int64 [m], the records that it could be measured on, as rows of predictions.csv.
        table: Column to the stacked measures, [m, ...].
    """

    indices: Array
    table: Mapping[str, Array]


def write_measures(path: Path, heads: Mapping[str, Measured]) -> None:
    """Write ``measures.npz``.

    Raises:
        DataError: It cannot be written.
    """
    arrays = {}
    for head, measured in heads.items():
        arrays[f"{head}/{_INDICES}"] = np.asarray(measured.indices, np.int64)
        arrays |= {f"{head}/{_TABLE}/{column}": values for column, values in measured.table.items()}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomic(path, content.getvalue())


def read_measures(path: Path) -> dict[str, Measured]:
    """Read ``measures.npz``.

    Raises:
        DataError: It is missing or damaged.
    """
    heads: dict[str, tuple[list[Array], dict[str, Array]]] = {}
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # NumPy leaves a damaged file open
            for name in file.files:
                head, part, *column = name.split("/", 2)
                indices, table = heads.setdefault(head, ([], {}))
                if part == _INDICES:
                    indices.append(file[name])
                else:
                    table[column[0]] = file[name]
        return {head: Measured(indices[0], table) for head, (indices, table) in heads.items()}
    except (OSError, ValueError, LookupError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        hint = "it is written by `dermtl evaluate`: run it again"
        raise DataError(f"cannot be read: {error}", where=str(path), hint=hint) from error
