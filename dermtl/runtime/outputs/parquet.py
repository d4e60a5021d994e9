"""Rows of predictions as a Parquet file, made from finished CSV lines. Needs pyarrow, the extra ``parquet``."""

import csv
from pathlib import Path
from typing import Any

from dermtl.errors import MissingExtra
from dermtl.files.atomic import new_version, sync_folder
from dermtl.runtime.outputs.row_formats import COLUMNS, RowStatus


def need_pyarrow() -> Any:
    """The module ``pyarrow``.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise MissingExtra(f"this needs {error.name}", hint="pip install 'dermtl[parquet]'") from error
    return pyarrow


def to_parquet(lines: Path, path: Path) -> None:
    """Turn a CSV of predictions into a Parquet file, block by block.

    ``image`` and ``error`` are text, ``width`` and ``height`` int32, all else float64; empty cells are null.

    Args:
        lines: The CSV.
        path: The file to write, whole or not at all, and on the disk when this returns.

    Raises:
        DataError: The file cannot be written.
        OSError: The CSV cannot be read.
    """
    arrow = need_pyarrow()
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    text, whole = arrow.string(), arrow.int32()
    with lines.open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(file))
    types = dict.fromkeys(names, arrow.float64()) | dict(zip(COLUMNS, (text, whole, whole, text), strict=True))
    convert = arrow_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    with (
        new_version(path) as draft,
        arrow_csv.open_csv(lines, convert_options=convert) as blocks,
        parquet.ParquetWriter(draft, blocks.schema) as table,
    ):
        for block in blocks:
            table.write_batch(block)
    sync_folder(path.parent)


def read_parquet(path: Path) -> list[RowStatus]:
    """The pictures of a file that :func:`to_parquet` wrote, and whether they were predicted.

    Raises:
        ValueError: The file is no table of predictions.
    """
    need_pyarrow()
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        if not {"image", "error"} <= set(file.schema_arrow.names):
            raise ValueError("no table of predictions")
        rows = file.read(columns=["image", "error"]).to_pylist()
    return [RowStatus(row["image"], row["error"] is not None) for row in rows]
