"""Files of rows of predictions, which a killed run leaves whole and the next one continues.

Lines are only ever appended, each whole and in one write. While a file is unfinished, ``<name>.unfinished`` lies beside
it and names the model that writes it; the writing process holds a lock on it, so that two never write. A finished file
keeps the model's digest in ``<name>.model.json``. Parquet files cannot grow: their lines gather in a CSV beside them.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

from dermtl.errors import DataError, InputError
from dermtl.files.lock import locked
from dermtl.kinds.kind import Kind
from dermtl.runtime.decision import Decisions
from dermtl.runtime.outputs.parquet import need_pyarrow, read_parquet, to_parquet
from dermtl.runtime.outputs.row_formats import Csv, JsonLines, RowFormat, RowStatus
from dermtl.runtime.outputs.written_by import (
    is_finished,
    is_marked,
    mark_of,
    refuse_other_model,
    write_mark,
    write_record,
)

FORMATS = (".jsonl", ".csv", ".parquet")


@dataclass(frozen=True)
class Rows:
    """An open file of predictions.

    Attributes:
        format: The format of its lines.
        earlier: Rows of earlier runs: picture, as the format writes it, to whether its row holds an error.
        write: Adds a line.
    """

    format: RowFormat
    earlier: Mapping[str, bool]
    write: Callable[[str], None]

    def holds(self, path: Path) -> bool:
        """Whether the row of a picture was there already."""
        return self.format.image(path) in self.earlier


@contextmanager
def open_rows(
    path: Path,
    kinds: Mapping[str, Kind],
    decisions: Decisions | None = None,
    *,
    model: str,
    overwrite: bool = False,
    resume: bool = False,
) -> Iterator[Rows]:
    """Open a new ``.jsonl``, ``.csv`` or ``.parquet`` file, or one to continue; missing folders are made.

    Left by an exception or a kill, the file stays unfinished; left normally, it is complete.

    Args:
        path: The file.
        kinds: Output name to kind.
        decisions: Frozen decisions; tables have a column for each.
        model: Digest of the model; rows of two models do not mix.
        overwrite: Replace a file that exists.
        resume: Continue the file, if there is one of the same model; an incomplete last line is dropped. A finished
            file takes no more rows.

    Raises:
        InputError: The suffix is unknown, the file exists, its rows are another model's, or another process is writing
            it.
        DataError: The file cannot be read or written.
        MissingExtra: Parquet needs pyarrow.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"expected a name that ends in {', '.join(FORMATS)}", where=str(path))
    is_parquet = suffix == ".parquet"
    if is_parquet:
        need_pyarrow()
    row_format: RowFormat = JsonLines(kinds) if suffix == ".jsonl" else Csv(kinds, decisions, guarded=not is_parquet)
    journal = path.with_name(f"{path.name}.rows.csv") if is_parquet else path
    mark = mark_of(path)
    try:
        if path.exists() and not mark.exists():
            if resume:
                yield _finished(path, row_format, model)
                return
            if not overwrite:
                _refuse_existing(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(mark) as remove_mark:
            if resume and is_finished(path, journal):
                output = _finished(path, row_format, model)
                remove_mark()
                yield output
                return
            earlier = _begun(path, journal, row_format, model, overwrite, resume)
            with journal.open("wb" if earlier is None else "ab", buffering=0) as file:

                def write(line: str) -> None:
                    # A file name that is not UTF-8 is written with escapes, which are valid inside JSON, too.
                    content = line.encode("utf-8", "backslashreplace")
                    while content := content[file.write(content) :]:
                        pass

                if earlier is None:
                    write(row_format.header)
                yield Rows(row_format, dict(earlier or ()), write)
                os.fsync(file.fileno())
            if is_parquet:
                to_parquet(journal, path)
            write_record(path, model)  # from here on the rows are finished, whenever a kill comes
            if is_parquet:
                journal.unlink()
            remove_mark()
    except BlockingIOError as error:
        hint = "wait for it, or give this one another name"
        raise InputError("is being written by another process", where=str(path), hint=hint) from error
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", where=str(path)) from error


@contextmanager
def stream_rows(stream: TextIO, kinds: Mapping[str, Kind]) -> Iterator[Rows]:
    """JSON lines to a stream, each flushed as it comes.

    Raises:
        DataError: A line cannot be written.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")

    def write(line: str) -> None:
        try:
            stream.write(line)
            stream.flush()
        except BrokenPipeError:  # whoever reads has seen enough
            raise
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what waits in it would fail again at the end
            raise DataError(f"cannot be written: {error.strerror}", where="standard output") from error

    yield Rows(JsonLines(kinds), {}, write)


def _refuse(path: Path) -> NoReturn:
    hint = "predict them into another file, or pass --overwrite"
    raise InputError("is finished, and does not hold all of these pictures", where=str(path), hint=hint)


def _refuse_existing(path: Path) -> NoReturn:
    raise InputError("exists already", where=str(path), hint="choose another name, or pass --overwrite")


def _finished(path: Path, row_format: RowFormat, model: str) -> Rows:
    """A complete file of the same model, which takes no more rows."""
    refuse_other_model(path, model)
    rows = read_parquet(path) if path.suffix.lower() == ".parquet" else _read(path, row_format)[0]
    return Rows(row_format, dict(rows), lambda line: _refuse(path))


def _begun(
    path: Path, journal: Path, row_format: RowFormat, model: str, overwrite: bool, resume: bool
) -> list[RowStatus] | None:
    """The rows of an unfinished file, cut after its last whole line; None where one is to be begun."""
    begun = is_marked(path)
    if begun and resume:
        refuse_other_model(path, model)
        if not journal.exists():
            return None
        rows, whole = _read(journal, row_format)
        with journal.open("r+b") as file:
            file.truncate(whole)
        return rows if whole else None
    if begun and not overwrite:
        hint = "--resume goes on with it, --overwrite begins anew"
        raise InputError("was begun and not finished", where=str(path), hint=hint)
    if path.exists() and path.stat().st_size and not overwrite:
        mark_of(path).unlink()
        _refuse_existing(path)
    if journal.exists():
        os.truncate(journal, 0)  # first, or a kill would leave old rows under the mark of another model
    write_mark(path, model)
    return None


def _read(file: Path, row_format: RowFormat) -> tuple[list[RowStatus], int]:
    """The rows of a file, and the bytes up to its last line end: a kill may have cut what follows."""
    found: list[RowStatus] = []
    whole = 0
    with file.open("rb") as content:
        for number, line in enumerate(content, 1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                text = line.decode("utf-8")
                if number > 1 or not row_format.header:
                    found.append(row_format.read(text))
                elif text != row_format.header:
                    raise ValueError("its columns are not those of this model")
            except ValueError as error:
                hint = "mend it, or pass --overwrite"
                raise DataError(f"cannot be gone on with: {error}", where=f"{file}:{number}", hint=hint) from error
    return found, whole
