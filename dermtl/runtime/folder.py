"""Pictures from files and folders, predicted in order on all cores.

Threads take pictures from decoding to the end, so decoding, the network and writing overlap, and what is as large as a
picture lives no longer than it must. A picture that cannot be predicted becomes a row that says why; it never stops the
others. Writes nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from dermtl.errors import BundleError, DataError, ImageFault, ImageReadError, InputError
from dermtl.files.prefetch import batched, prefetch
from dermtl.imaging.decode import SUFFIXES
from dermtl.imaging.suffixes import NOTES, is_picture
from dermtl.runtime.prediction import Prediction
from dermtl.runtime.predictor import BATCH_SIZE, Model, Square

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
            raise ImageReadError(
                "no such file or folder", where=str(path), hint="nothing was predicted", reason=ImageFault.MISSING
            )
    if not found:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError("no picture found", where=", ".join(map(str, paths)), hint=f"looked for {suffixes}")
    return list(found)


def find_others(paths: Sequence[Path]) -> list[Path]:
    """The files in the folders named that :func:`find_images` passes over, tables and texts apart."""
    files = (path for folder in paths if folder.is_dir() for path in _files(folder))
    return sorted(path for path in files if path.suffix.lower() not in NOTES and not is_picture(path))


def predict_files(
    model: Model, files: Iterable[Path], *, batch_size: int = BATCH_SIZE, workers: int | None = None
) -> Iterator[Row]:
    """Predict files in order; see :func:`map_rows`."""
    return map_rows(model, files, lambda row: row, batch_size=batch_size, workers=workers)


def map_rows(
    model: Model,
    files: Iterable[Path],
    then: Callable[[Row], Result],
    *,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
) -> Iterator[Result]:
    """Predict files and go on with each row, in order; see :class:`Row`.

    Each thread takes a few pictures from decoding to the end, so decoding, running and writing overlap on all cores.

    Args:
        model: The model; on a CPU best loaded with ``threads=1``, since whole pictures are shared out here.
        files: The pictures.
        then: What to make of a row, in the thread that made it: what is large is best written there and dropped.
        batch_size: Pictures in one run of the graph.
        workers: Threads; default: as many as leave no core idle with the model's own threads.

    Returns:
        What ``then`` gave; at most ``(workers + 1) * batch_size`` of them wait for the reader.

    Raises:
        BundleError: The graph cannot be run at all.
    """

    def work(paths: list[Path]) -> list[Result]:
        return [then(row) for row in _rows(model, paths)]

    batches = prefetch(work, batched(files, batch_size), workers=workers or model.workers)
    return (result for batch in batches for result in batch)


def _rows(model: Model, paths: Sequence[Path]) -> Iterator[Row]:
    """The rows of one batch; outputs are brought to a picture's own size one at a time."""
    prepared: list[Square | str] = []
    for path in paths:
        try:
            prepared.append(model.prepare(path))
        except (ImageReadError, InputError) as error:
            prepared.append(str(error))
    outputs = iter(model.run([square for square in prepared if isinstance(square, Square)]))
    for path, square in zip(paths, prepared, strict=True):
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
    return filter(is_picture, _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield Path(root, name)


def _refuse(error: OSError) -> NoReturn:
    """A folder that cannot be listed would otherwise be passed over in silence."""
    raise ImageReadError(f"cannot be listed: {error.strerror}", where=str(error.filename)) from error
