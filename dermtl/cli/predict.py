"""``dermtl predict``."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dermtl.runtime.outputs.sink import Sink


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
    "--out", type=click.Path(path_type=Path), help="A .jsonl, .csv or .parquet file. [default: JSON lines to stdout]"
)
@click.option("--overlay", type=click.Path(path_type=Path), help="Folder for pictures with all outputs drawn.")
@click.option("--masks", type=click.Path(path_type=Path), help="Folder for masks as PNG files.")
@click.option("--dicom-seg", type=click.Path(path_type=Path), help="Folder for masks of DICOM files as DICOM SEG.")
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@click.option("--resume", is_flag=True, help="Continue an interrupted --out file, if there is one.")
@click.option("--skip-unreadable", is_flag=True, help="Exit with 0 although pictures could not be predicted.")
@click.option(
    "--batch-size", default=4, show_default=True, type=click.IntRange(min=1), help="Pictures in one run of the graph."
)
@click.option("--threads", type=click.IntRange(min=1), help="Number of all threads; default: all cores.")
@click.option(
    "--reduced", is_flag=True, help="Decode large JPEGs at a part of their size: faster, slightly other outputs."
)
@click.option(
    "--provider", "providers", multiple=True, help="ONNX Runtime provider, such as cuda; default: cpu. Repeatable."
)
@click.option(
    "--shard",
    default="1/1",
    callback=_shard,
    metavar="I/N",
    help="Predict only every n-th picture, from the i-th on; i counts from 1.",
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
    skip_unreadable: bool,
    batch_size: int,
    threads: int | None,
    reduced: bool,
    providers: tuple[str, ...],
    shard: tuple[int, int],
) -> None:
    """Predict pictures with an exported model.

    PATH is a picture, or a folder that is searched at any depth. Exits with 1 if a picture could not be predicted (its
    row says why), or if files of a folder are no pictures that dermtl reads (a line names them). A run that was killed
    leaves whole rows; --resume adds the others.

    \b
    Example:
      dermtl predict model.onnx images --out predictions.csv --overlay overlays
    """
    if resume and (out is None or overwrite):
        raise click.UsageError("--resume goes on with --out FILE, and does not go with --overwrite")
    from dermtl.data.manifest.folders import first_names
    from dermtl.files.cores import count_cores
    from dermtl.runtime.image_files import find_images, find_others
    from dermtl.runtime.outputs.predict_files import predict_files
    from dermtl.runtime.outputs.rows import open_rows, stream_rows
    from dermtl.runtime.predictor import load

    index, count = shard
    files = find_images(paths)[index - 1 :: count]
    if others := find_others(paths):
        names = first_names(others)
        click.echo(f"passed over {len(others)} files that are no pictures dermtl reads: {names}", err=True)
    threads = threads or count_cores()
    workers = max(1, min(threads, len(files) // batch_size))  # few pictures: the cores go to the network instead
    loaded = load(model, providers=providers or None, threads=threads // workers, reduced=reduced)
    sinks: list[Sink] = []
    if overlay:
        from dermtl.runtime.outputs.overlays import Overlays

        sinks.append(Overlays(overlay, paths))
    if masks:
        from dermtl.runtime.outputs.masks import Masks

        sinks.append(Masks(masks, paths, loaded.kinds))
    if dicom_seg:
        from dermtl.runtime.outputs.dicom_seg import DicomSeg

        sinks.append(DicomSeg(dicom_seg, paths, loaded.kinds, model=loaded.bundle.name, digest=loaded.digest))
    rows = (
        stream_rows(sys.stdout, loaded.kinds)
        if out is None
        else open_rows(
            out, loaded.kinds, loaded.bundle.decisions, model=loaded.digest, overwrite=overwrite, resume=resume
        )
    )
    with _progress(len(files)) as bar:
        failed = predict_files(
            loaded,
            files,
            rows,
            sinks,
            overwrite=overwrite or resume,
            batch_size=batch_size,
            workers=workers,
            advance=bar.update,
        )
    if failed:
        click.echo(f"{failed} of {len(files)} pictures could not be predicted; their rows say why", err=True)
    if (failed or others) and not skip_unreadable:
        raise click.exceptions.Exit(1)


class _NoBar:
    """Stands in for a bar if stderr is no terminal."""

    def update(self, num: int) -> None:
        pass


def _progress(total: int) -> AbstractContextManager[Any]:
    """A bar on stderr, on a terminal only."""
    if not sys.stderr.isatty():
        return nullcontext(_NoBar())
    return click.progressbar(length=total, label="predict", show_pos=True, file=sys.stderr)
