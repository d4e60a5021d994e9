"""Pictures from files and folders, predicted in order while others are being decoded.

Decoding threads hand over letterboxed squares, so memory does not grow with the size of the pictures. A picture that
cannot be predicted becomes a row that says why; it never stops the others. Writes nothing.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn, TypeVar

from dermtl.errors import BundleError, DataError, ImageReadError, InputError
from dermtl.imaging.decode import SUFFIXES
from dermtl.runtime.prediction import Prediction
from dermtl.runtime.predictor import Model, Square

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """What became of one file.

    Attributes:
        path: The file.
        prediction: None where there is an error.
        error: Why there is no prediction, in one line.
    """

    path: Path
    prediction: Prediction | None = None
    error: str = ""


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the pictures in the folders named, at any depth.

    Folders are listed in the order of their paths' parts, without hidden files and folders; links to folders are not
    followed. Files that are named are taken whatever their suffix. Nothing is listed twice.

    Raises:
        ImageReadError: A path does not exist, or a folder cannot be listed.
        DataError: There is no picture at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(sorted(_walk(path), key=lambda file: file.parts)))
        elif path.exists():
            found[path] = None
        else:
            raise ImageReadError("no such file or folder", where=str(path), hint="nothing was predicted")
    if not found:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError("no picture found", where=", ".join(map(str, paths)), hint=f"looked for {suffixes}")
    return list(found)


def predict_files(
    model: Model, files: Iterable[Path], *, batch_size: int = 8, workers: int | None = None
) -> Iterator[Row]:
    """Predict files in order; see :class:`Row`.

    Args:
        model: The model.
        files: The pictures.
        batch_size: Pictures in one run of the graph.
        workers: Decoding threads; default: up to four.

    Raises:
        BundleError: The graph cannot be run at all.
    """

    def prepare(path: Path) -> tuple[Path, Square | str]:
        try:
            return path, model.prepare(path)
        except (ImageReadError, InputError) as error:
            return path, str(error)

    prepared = _ahead(prepare, files, workers or min(4, os.cpu_count() or 1), depth=2 * batch_size)
    while batch := list(islice(prepared, batch_size)):
        outputs = iter(model.run([square for _, square in batch if isinstance(square, Square)]))
        for path, square in batch:
            if isinstance(square, str):
                yield Row(path, error=square)
                continue
            try:
                prediction = model.restore(next(outputs), square.letterbox)
            except BundleError as error:
                yield Row(path, error=str(error))
            else:
                yield Row(path, prediction)


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(root, name)


def _refuse(error: OSError) -> NoReturn:
    """A folder that cannot be listed would otherwise be passed over in silence."""
    raise ImageReadError(f"cannot be listed: {error.strerror}", where=str(error.filename)) from error


def _ahead(function: Callable[[Item], Result], items: Iterable[Item], workers: int, depth: int) -> Iterator[Result]:
    """``map`` in threads, in order, at most ``depth`` results ahead of the reader."""
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
