"""Pictures predicted in order on all cores, one row each.

Threads take pictures from decoding to the end, so decoding, the network and writing overlap, and arrays as large as a
picture are freed as soon as possible. A picture that cannot be predicted becomes a row with the reason; it never stops
the others. Writes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dermtl.errors import BundleError, ImageReadError, InputError, MissingExtra
from dermtl.files.prefetch import batched, prefetch
from dermtl.runtime.prediction import Prediction
from dermtl.runtime.predictor import BATCH_SIZE, Model, Square

Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """The prediction of one file, or why there is none.

    Attributes:
        path: The file.
        prediction: Prediction of the file; None if there is an error.
        error: Why there is no prediction, in one line.
    """

    path: Path
    prediction: Prediction | None = None
    error: str = ""


def predict_rows(
    model: Model, files: Iterable[Path], *, batch_size: int = BATCH_SIZE, workers: int | None = None
) -> Iterator[Row]:
    """Predict files in order; see :func:`map_rows`."""
    return map_rows(model, files, lambda row: row, batch_size=batch_size, workers=workers)


def map_rows(
    model: Model,
    files: Iterable[Path],
    function: Callable[[Row], Result],
    *,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
) -> Iterator[Result]:
    """Predict files and apply a function to each row, in order.

    Args:
        model: The model; on a CPU best loaded with ``threads=1``, since threads take whole pictures here.
        files: The pictures.
        function: Called with each row in the thread that predicted it, so that large arrays can be written there and
            freed.
        batch_size: Pictures in one run of the graph.
        workers: Number of threads; default: as many as keep all cores busy with the model's own threads.

    Returns:
        The results of the function; at most ``(workers + 1) * batch_size`` of them wait for the reader.

    Raises:
        BundleError: The graph cannot be run at all.
    """

    def work(paths: list[Path]) -> list[Result]:
        return [function(row) for row in _rows(model, paths)]

    batches = prefetch(work, batched(files, batch_size), workers=workers or model.workers)
    return (result for batch in batches for result in batch)


def _rows(model: Model, paths: Sequence[Path]) -> Iterator[Row]:
    """The rows of one batch; outputs are brought to a picture's own size one at a time."""
    prepared: list[Square | str] = []
    for path in paths:
        try:
            prepared.append(model.prepare(path))
        except (ImageReadError, InputError, MissingExtra) as error:
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
