"""``dermtl predict``."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click


def _shard(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """``i/n``: part i of n, counted from 1."""
    index, _, count = value.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"expected i/n with i from 1 to n, such as 1/4, got {value!r}")
    return int(index), int(count)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="A .jsonl or .csv file; default: JSON lines to stdout.")
@click.option("--overlay", type=click.Path(path_type=Path), help="Folder for pictures with everything drawn.")
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@click.option("--batch-size", default=8, show_default=True, type=click.IntRange(min=1), help="Pictures in one run.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the network; default: one a core.")
@click.option("--provider", "providers", multiple=True, help="ONNX Runtime's, such as cuda; default: cpu. Repeatable.")
@click.option(
    "--shard",
    default="1/1",
    callback=_shard,
    metavar="I/N",
    help="Every n-th picture only, beginning with the i-th, i from 1.",
)
def predict(
    model: Path,
    paths: tuple[Path, ...],
    out: Path | None,
    overlay: Path | None,
    overwrite: bool,
    batch_size: int,
    threads: int | None,
    providers: tuple[str, ...],
    shard: tuple[int, int],
) -> None:
    """Predict pictures with an exported model.

    PATH is a picture, or a folder that is searched at any depth. Exits with 1 where a picture could not be predicted;
    its row says why.

    \b
    Example:
      dermtl predict model.onnx images --out predictions.csv --overlay overlays
    """
    from dermtl.errors import ImageReadError, InputError
    from dermtl.runtime.folder import Row, find_images, predict_files
    from dermtl.runtime.output import jsonl_writer, open_output
    from dermtl.runtime.overlay import plan_overlays, write_overlay
    from dermtl.runtime.predictor import load

    files = find_images(paths)
    index, count = shard
    files = files[index - 1 :: count]
    overlays = plan_overlays(files, paths, overlay, overwrite=overwrite) if overlay else {}
    loaded = load(model, providers=providers or None, threads=threads)
    failed = 0
    with ExitStack() as stack:
        if out is None:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
            write = jsonl_writer(sys.stdout, loaded.kinds)
        else:
            write = stack.enter_context(open_output(out, loaded.kinds, overwrite=overwrite))
        advance = stack.enter_context(_progress(len(files)))
        for row in predict_files(loaded, files, batch_size=batch_size):
            if overlays and row.prediction is not None:
                try:
                    write_overlay(row.path, row.prediction, overlays[row.path])
                except (ImageReadError, InputError) as error:  # it changed while it was predicted
                    row = Row(row.path, error=str(error))
            write(row)
            failed += bool(row.error)
            advance()
    if failed:
        click.echo(f"{failed} of {len(files)} pictures could not be predicted; their rows say why", err=True)
        raise click.exceptions.Exit(1)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("predict"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("predict", total=total)
        yield lambda: bar.advance(task)
