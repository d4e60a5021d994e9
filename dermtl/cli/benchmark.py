"""``dermtl benchmark``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dermtl.evaluation.benchmark_accuracy import PrimaryMetric
    from dermtl.runtime.benchmark import Timing

_TABLES = ("manifest.csv", "labels.csv")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Folder of pictures, or a table with annotations.")
@click.option("--against", metavar="timm|FILE.onnx", help="Compare with its backbone in torch, or with another file.")
@click.option("--threads", type=click.IntRange(min=1), help="Number of threads of every contender; default: all cores.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1), help="Number of rounds.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write a plot to this .svg or .png file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def benchmark(
    model: Path,
    data: Path | None,
    against: str | None,
    threads: int | None,
    rounds: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Time an exported model: cold start, latency, throughput, memory; alone or beside another.

    Contenders are measured in turns, on the same pictures and with the same number of threads; without --data on the
    golden samples. If --data is a table, or a folder with a manifest.csv or labels.csv, each head's primary metric
    is also reported, with its 95% interval. Pictures that a model was trained on are left out, if its run is known.

    \b
    Example:
      dermtl benchmark model.onnx --data images --against timm
      dermtl benchmark runs/demo/model.onnx --data data/demo --against runs/small/model.onnx
    """
    import json
    import tempfile
    from dataclasses import asdict, replace

    from dermtl.cli.extras import needs
    from dermtl.errors import BundleError
    from dermtl.files.cores import count_cores
    from dermtl.runtime.benchmark import benchmark as measure
    from dermtl.runtime.contender import dermtl_contender, onnx_contender
    from dermtl.runtime.golden import golden_path, read_golden
    from dermtl.runtime.image_files import find_images
    from dermtl.runtime.predictor import load

    threads = threads or count_cores()
    loaded = load(model, threads=threads)
    contenders, exported = [dermtl_contender(loaded, model)], [model]
    if against == "timm":
        with needs("train"):
            from dermtl.export.timm_contender import timm_contender
        contenders.append(timm_contender(loaded.bundle, threads))
    elif against:
        other = Path(against)
        try:
            contenders.append(dermtl_contender(load(other, threads=threads), other))
            exported.append(other)
        except BundleError:
            contenders.append(onnx_contender(other, loaded.bundle.size, threads))
    if len({contender.name for contender in contenders}) < len(contenders):
        contenders = [replace(contender, name=str(contender.file)) for contender in contenders]
    table = _table(data) if data else None
    scored = None
    if table:
        from dermtl.evaluation.benchmark_accuracy import measure_accuracy

        scored = measure_accuracy(exported, table)
        click.echo(f"scored on {len(scored.records)} pictures, {scored.left_out} left out", err=True)
    with tempfile.TemporaryDirectory() as folder:
        if scored:
            files = [record.path for record in scored.records]
        elif data:
            files = find_images([data])
        else:
            files = []
            for sample, _ in read_golden(golden_path(model)):
                files.append(Path(folder, sample.name))
                files[-1].write_bytes(sample.encoded)
        timings = measure(contenders, files, rounds=rounds)
    own = scored.files if scored else ()
    scores = [*own, *([[]] * (len(timings) - len(own)))]
    if plot:
        with needs("train"):
            from dermtl.export.benchmark_plot import plot_timings
        plot_timings(timings, plot, scores)
    if as_json:
        pairs = zip(timings, scores, strict=True)
        found = [asdict(timing) | {"scores": [asdict(score) for score in of]} for timing, of in pairs]
        pictures = {"scored": len(scored.records), "left_out": scored.left_out} if scored else {}
        click.echo(json.dumps({"threads": threads, **pictures, "contenders": found}, indent=2))
    else:
        _show(timings, scores)


def _table(data: Path) -> Path | None:
    """The table itself, or the one in a folder."""
    if data.suffix.lower() == ".csv":
        return data
    return next((data / name for name in _TABLES if (data / name).is_file()), None)


def _show(timings: "Sequence[Timing]", scores: "Sequence[Sequence[PrimaryMetric]]") -> None:
    from dermtl.cli.table import show_table

    def figures(timing: "Timing") -> dict[str, float | None]:
        return {
            "file, MB": timing.file_mb,
            "cold start, s": timing.cold_start_s,
            "memory, MB": timing.memory_mb,
            "latency p50, ms": timing.latency_p50_ms,
            "latency p95, ms": timing.latency_p95_ms,
            "  decode, ms": timing.decode_ms,
            "  model, ms": timing.model_ms,
            "CPU a picture, ms": timing.cpu_ms,
            **{f"pictures/s, batch {batch}": rate for batch, rate in timing.images_s.items()},
        }

    columns = [{name: _number(value) for name, value in figures(timing).items()} for timing in timings]
    for column, own in zip(columns, scores, strict=True):
        column |= {f"{score.head}.{score.metric}": _interval(score) for score in own}
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [(name, *(column.get(name, "-") for column in columns)) for name in names]
    show_table(("", *(timing.name for timing in timings)), rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _interval(score: "PrimaryMetric") -> str:
    return f"{_number(score.value)} ({_number(score.low)} to {_number(score.high)}, n={score.n})"
