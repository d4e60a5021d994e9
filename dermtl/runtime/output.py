"""Rows of predictions as JSON lines or CSV, each written and flushed as it comes.

A killed run leaves whole lines. Only where the kill falls into a write that crosses a page of memory may the system
cut the last one: it then lacks its line end. Knows nothing of models; the columns follow from the kinds.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dermtl.data.table import guard
from dermtl.errors import DataError, InputError
from dermtl.kinds.kind import Kind
from dermtl.runtime.bundle import blank
from dermtl.runtime.folder import Row

FORMATS = (".jsonl", ".csv")
COLUMNS = ("image", "width", "height", "error")

Write = Callable[[Row], None]


@contextmanager
def open_output(path: Path, kinds: Mapping[str, Kind], *, overwrite: bool = False) -> Iterator[Write]:
    """A function that writes rows to a new ``.jsonl`` or ``.csv`` file; missing folders are made.

    Raises:
        InputError: The suffix is neither, or the file exists.
        DataError: The file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"expected a name that ends in {' or '.join(FORMATS)}", where=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file name that is not UTF-8 is written with escapes, which are valid inside JSON, too.
        with path.open("w" if overwrite else "x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield csv_writer(file, kinds) if path.suffix.lower() == ".csv" else jsonl_writer(file, kinds)
    except FileExistsError as error:
        raise InputError("exists already", where=str(path), hint="choose another name, or pass --overwrite") from error
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(path)) from error


def jsonl_writer(file: IO[str], kinds: Mapping[str, Kind]) -> Write:
    """A function that writes ``{"image", "width", "height", <head>: {...}, ...}`` or ``{"image", "error"}``.

    Raises:
        InputError: A head has the name of one of those keys.
    """
    taken = sorted({name.partition(".")[0] for name in kinds} & set(COLUMNS))
    if taken:
        raise InputError(f"a head is called {taken[0]!r}, as a key of every row is", hint="write a .csv instead")

    def write(row: Row) -> None:
        content: dict[str, Any] = {"image": row.path.as_posix()}
        if row.prediction is None:
            content["error"] = row.error
        else:
            height, width = row.prediction.image_hw
            content |= {"width": width, "height": height, **row.prediction.to_json()}
        file.write(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()

    return write


def csv_writer(file: IO[str], kinds: Mapping[str, Kind]) -> Write:
    """A function that writes image, width, height, error and one number a column, below a header line."""
    numbers = [f"{name}.{column}" for name, kind in kinds.items() for column in kind.columns(blank(kind))]
    table = csv.writer(file, lineterminator="\n")
    table.writerow([*COLUMNS, *map(_text, numbers)])
    file.flush()

    def write(row: Row) -> None:
        cells: dict[str, object] = {"image": _text(row.path.as_posix()), "error": _text(row.error)}
        if row.prediction is not None:
            cells["height"], cells["width"] = row.prediction.image_hw
            cells |= row.prediction.columns()
        table.writerow([cells.get(column, "") for column in (*COLUMNS, *numbers)])
        file.flush()

    return write


def _text(cell: str) -> str:
    """Text that no spreadsheet runs, on one line."""
    return guard(cell.replace("\r", "\\r").replace("\n", "\\n"))
