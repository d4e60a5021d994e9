"""What each head's metrics measured of every record, as a file: figures can be resampled and compared from it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.files.archive import DAMAGED, read_arrays
from dermtl.files.atomic import write_atomic

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
        DataError: It is missing, damaged, or would unpack to far more than it holds.
    """
    heads: dict[str, tuple[list[Array], dict[str, Array]]] = {}
    try:
        for name, values in read_arrays(path).items():
            head, part, *column = name.split("/", 2)
            indices, table = heads.setdefault(head, ([], {}))
            if part == _INDICES:
                indices.append(values)
            else:
                table[column[0]] = values
        return {head: Measured(indices[0], table) for head, (indices, table) in heads.items()}
    except (*DAMAGED, LookupError, TypeError) as error:
        hint = "it is written by `dermtl evaluate`: run it again"
        raise DataError(f"cannot be read: {error}", where=str(path), hint=hint) from error
