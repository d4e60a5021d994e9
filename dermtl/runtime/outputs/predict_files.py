"""Files predicted into a file of rows and any number of sinks."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from dermtl.errors import ImageReadError, InputError
from dermtl.runtime.outputs.output_paths import refuse_existing
from dermtl.runtime.outputs.rows import Rows
from dermtl.runtime.outputs.sink import Sink
from dermtl.runtime.predict_rows import Row, map_rows
from dermtl.runtime.predictor import BATCH_SIZE, Model


def predict_files(
    model: Model,
    files: Sequence[Path],
    rows: AbstractContextManager[Rows],
    sinks: Sequence[Sink] = (),
    *,
    overwrite: bool = False,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    advance: Callable[[int], object] = lambda num: None,
) -> int:
    """Predict files; write a row for each, in their order, and what the sinks write.

    A picture that a sink cannot write becomes a row with the reason. Pictures whose rows are there already are left
    out. Nothing is written, and no file is opened, before every sink has planned its files.

    Args:
        model: The model.
        files: The pictures.
        rows: The file of rows, not opened yet: :func:`~dermtl.runtime.outputs.rows.open_rows` or ``stream_rows``.
        sinks: What is written for each picture beside its row.
        overwrite: Replace files of sinks that exist.
        batch_size: Pictures in one run of the graph.
        workers: Number of threads, as in :func:`~dermtl.runtime.predict_rows.map_rows`.
        advance: Called with the number of pictures that are done, each time some are.

    Returns:
        Number of pictures whose row holds an error, those of earlier runs included.

    Raises:
        InputError: A sink cannot write what it is asked for, a file exists, or the file of rows is refused.
        DataError: A file cannot be written.
        BundleError: The graph cannot be run at all.
    """
    planned = [path for sink in sinks for path in sink.plan(files)]
    if not overwrite:
        refuse_existing(planned)
    with rows as table:

        def finish(row: Row) -> tuple[str, bool]:
            if row.prediction is not None:
                try:
                    for sink in sinks:
                        sink.write(row.path, row.prediction)
                except (ImageReadError, InputError) as error:  # the picture changed while it was predicted
                    row = Row(row.path, error=str(error))
            return table.format.line(row), bool(row.error)

        waiting = [file for file in files if not table.holds(file)]
        failed = sum(table.earlier.get(table.format.image(file), False) for file in files)
        advance(len(files) - len(waiting))
        for line, is_failed in map_rows(model, waiting, finish, batch_size=batch_size, workers=workers):
            table.write(line)
            failed += is_failed
            advance(1)
    return failed
