"""``dermtl predict``."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dermtl.runtime.masks import Plan


def _shard(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """``i/n``: part i of n, counted from 1."""
    index, _, count = value.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"expected i/n with i from 1 to n, such as 1/4, got {value!r}")
    return int(index), int(count)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="A .jsonl, .csv or .parquet file; default: JSON to stdout."
)
@click.option("--overlay", type=click.Path(path_type=Path), help="Folder for pictures with everything drawn.")
@click.option("--masks", type=click.Path(path_type=Path), help="Folder for masks as PNG files.")
@click.option("--dicom-seg", type=click.Path(path_type=Path), help="Folder for masks of DICOM files as DICOM SEG.")
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@click.option("--resume", is_flag=True, help="Go on with an --out that was interrupted, if there is one.")
@click.option("--batch-size", default=4, show_default=True, type=click.IntRange(min=1), help="Pictures in one run.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads in all; default: one a core.")
@click.option("--reduced", is_flag=True, help="Decode large JPEGs in part: faster, but answers move a little.")
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
    masks: Path | None,
    dicom_seg: Path | None,
    overwrite: bool,
    resume: bool,
    batch_size: int,
    threads: int | None,
    reduced: bool,
    providers: tuple[str, ...],
    shard: tuple[int, int],
) -> None:
    """Predict pictures with an exported model.

    PATH is a picture, or a folder that is searched at any depth. Exits with 1 where a picture could not be predicted;
    its row says why. A run that was killed leaves whole rows; --resume adds the others.

    \b
    Example:
      dermtl predict model.onnx images --out predictions.csv --overlay overlays
    """
    if resume and (out is None or overwrite):
        raise click.UsageError("--resume goes on with --out FILE, and does not go with --overwrite")
    from dermtl.data.manifest.folders import first_names
    from dermtl.errors import ImageReadError, InputError
    from dermtl.files.cores import count_cores
    from dermtl.runtime.folder import Row, find_images, find_others, map_rows
    from dermtl.runtime.masks import plan_masks, write_masks
    from dermtl.runtime.output import open_output, open_stream
    from dermtl.runtime.overlay import plan_overlays, write_overlay
    from dermtl.runtime.predictor import load

    index, count = shard
    files = find_images(paths)[index - 1 :: count]
    if others := find_others(paths):
        names = first_names(others)
        click.echo(f"passed over {len(others)} files that are no pictures dermtl reads: {names}", err=True)
    threads = threads or count_cores()
    workers = max(1, min(threads, len(files) // batch_size))  # few pictures: the cores go to the network instead
    loaded = load(model, providers=providers or None, threads=threads // workers, reduced=reduced)
    again = overwrite or resume
    overlays = plan_overlays(files, paths, overlay, overwrite=again) if overlay else {}
    outlines = plan_masks(files, paths, masks, loaded.kinds, overwrite=again) if masks else {}
    objects: Plan = {}
    if dicom_seg:
        from dermtl.runtime.dicom_seg import plan_segmentations, write_segmentations

        objects = plan_segmentations(files, paths, dicom_seg, loaded.kinds, overwrite=again)
    with ExitStack() as stack:
        opened = (
            open_stream(sys.stdout, loaded.kinds)
            if out is None
            else open_output(
                out,
                loaded.kinds,
                loaded.bundle.decisions,
                model=loaded.digest,
                overwrite=overwrite,
                resume=resume,
            )
        )
        output = stack.enter_context(opened)

        def finish(row: Row) -> tuple[str, bool]:
            if row.prediction is not None:
                try:
                    if overlays:
                        write_overlay(row.path, row.prediction, overlays[row.path])
                    if outlines:
                        write_masks(row.prediction, outlines[row.path])
                    if objects:
                        names = {"model": loaded.bundle.name, "digest": loaded.digest}
                        write_segmentations(row.path, row.prediction, objects[row.path], **names)
                except (ImageReadError, InputError) as error:  # it changed while it was predicted
                    row = Row(row.path, error=str(error))
            return output.lines.line(row), bool(row.error)

        waiting = [file for file in files if not output.holds(file)]
        failed = sum(output.earlier.get(output.lines.image(file), False) for file in files)
        advance = stack.enter_context(_progress(len(waiting)))
        for line, is_failed in map_rows(loaded, waiting, finish, batch_size=batch_size, workers=workers):
            output.write(line)
            failed += is_failed
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
