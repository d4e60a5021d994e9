"""Files of predictions that a run can be killed in the middle of, and go on with.

Lines are only ever added, each whole and in one write. While a file is unfinished, ``<name>.unfinished`` lies beside it
and says which model wrote it; who writes holds a lock on it, so that two never do. Parquet files cannot grow: their
lines gather in a CSV beside them first.
"""

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from dermtl.errors import DataError, InputError
from dermtl.kinds.kind import Kind
from dermtl.runtime.decision import Decisions
from dermtl.runtime.lock import locked
from dermtl.runtime.parquet import need_pyarrow, read_parquet, to_parquet
from dermtl.runtime.rows import Csv, JsonLines, Lines, Written

FORMATS = (".jsonl", ".csv", ".parquet")


@dataclass(frozen=True)
class Output:
    """An open file of predictions.

    Attributes:
        lines: Its format.
        earlier: What was in it already: picture, as the format writes it, to whether its row holds an error.
        write: Add a line.
    """

    lines: Lines
    earlier: Mapping[str, bool]
    write: Callable[[str], None]

    def holds(self, path: Path) -> bool:
        """Whether a picture's row was there already."""
        return self.lines.image(path) in self.earlier


@contextmanager
def open_output(
    path: Path,
    kinds: Mapping[str, Kind],
    decisions: Decisions | None = None,
    *,
    model: str,
    overwrite: bool = False,
    resume: bool = False,
) -> Iterator[Output]:
    """A new ``.jsonl``, ``.csv`` or ``.parquet`` file, or one to go on with; missing folders are made.

    Left by an exception or a kill, the file stays unfinished; left normally, it is complete.

    Args:
        path: The file.
        kinds: Output name to kind.
        decisions: What was settled; tables have a column for each decision.
        model: Digest of the model; rows of two models do not mix.
        overwrite: Replace a file that exists.
        resume: Go on with the file, if there is one; a last line that was cut is dropped. A finished one takes no more.

    Raises:
        InputError: The suffix is unknown, the file exists, was begun with another model, or is being written by another
            process.
        DataError: The file cannot be read or written.
        MissingExtra: Parquet needs pyarrow.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"expected a name that ends in {', '.join(FORMATS)}", where=str(path))
    is_parquet = suffix == ".parquet"
    if is_parquet:
        need_pyarrow()
    lines: Lines = JsonLines(kinds) if suffix == ".jsonl" else Csv(kinds, decisions, guarded=not is_parquet)
    journal = path.with_name(f"{path.name}.rows.csv") if is_parquet else path
    mark = path.with_name(f"{path.name}.unfinished")
    try:
        if resume and path.exists() and not mark.exists():
            finished = read_parquet(path) if is_parquet else _read(path, lines)[0]
            yield Output(lines, dict(finished), lambda line: _refuse(path))
            return
        if not (resume or overwrite) and path.exists() and not mark.exists():
            _refuse_existing(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(mark) as remove_mark:
            earlier = _begun(path, journal, mark, lines, model, overwrite, resume)
            with journal.open("wb" if earlier is None else "ab", buffering=0) as file:

                def write(line: str) -> None:
                    # A file name that is not UTF-8 is written with escapes, which are valid inside JSON, too.
                    content = line.encode("utf-8", "backslashreplace")
                    while content := content[file.write(content) :]:
                        pass

                if earlier is None:
                    write(lines.header)
                yield Output(lines, dict(earlier or ()), write)
            if is_parquet:
                to_parquet(journal, path)
                journal.unlink()
            remove_mark()
    except BlockingIOError as error:
        hint = "wait for it, or give this one another name"
        raise InputError("is being written by another process", where=str(path), hint=hint) from error
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", where=str(path)) from error


@contextmanager
def open_stream(stream: TextIO, kinds: Mapping[str, Kind]) -> Iterator[Output]:
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

    yield Output(JsonLines(kinds), {}, write)


def _refuse(path: Path) -> NoReturn:
    hint = "predict them into another file, or pass --overwrite"
    raise InputError("is finished, and does not hold all of these pictures", where=str(path), hint=hint)


def _refuse_existing(path: Path) -> NoReturn:
    raise InputError("exists already", where=str(path), hint="choose another name, or pass --overwrite")


def _begun(
    path: Path, journal: Path, mark: Path, lines: Lines, model: str, overwrite: bool, resume: bool
) -> list[Written] | None:
    """The rows of an unfinished file, cut after its last whole line; None where one is to be begun."""
    begun = mark.stat().st_size > 0  # the lock itself makes an empty one
    if begun and resume:
        if _marked(mark) != model:
            hint = "choose another name, or pass --overwrite"
            raise InputError("was begun with another model", where=str(path), hint=hint)
        if not journal.exists():
            return None
        rows, whole = _read(journal, lines)
        with journal.open("r+b") as file:
            file.truncate(whole)
        return rows if whole else None
    if begun and not overwrite:
        hint = "--resume goes on with it, --overwrite begins anew"
        raise InputError("was begun and not finished", where=str(path), hint=hint)
    if path.exists() and not overwrite:
        mark.unlink()
        _refuse_existing(path)
    if journal.exists():
        os.truncate(journal, 0)  # first, or a kill would leave old rows under the mark of another model
    with mark.open("wb") as file:  # in place: another file would not be the one that is locked
        file.write(json.dumps({"model": model}).encode())
        file.flush()
        os.fsync(file.fileno())
    return None


def _marked(mark: Path) -> Any:
    try:
        content = json.loads(mark.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content.get("model") if isinstance(content, dict) else None


def _read(file: Path, lines: Lines) -> tuple[list[Written], int]:
    """The rows of a file, and the bytes up to its last line end: a kill may have cut what follows."""
    found: list[Written] = []
    whole = 0
    with file.open("rb") as content:
        for number, line in enumerate(content, 1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                text = line.decode("utf-8")
                if number > 1 or not lines.header:
                    found.append(lines.read(text))
                elif text != lines.header:
                    raise ValueError("its columns are not those of this model")
            except ValueError as error:
                hint = "mend it, or pass --overwrite"
                raise DataError(f"cannot be gone on with: {error}", where=f"{file}:{number}", hint=hint) from error
    return found, whole
