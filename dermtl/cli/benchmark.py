"""``dermtl benchmark``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dermtl.runtime.benchmark import Timing


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Folder of pictures; default: the golden samples.")
@click.option("--against", metavar="timm|FILE.onnx", help="What to compare with: its backbone in torch, or a file.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of every contender; default: one a core.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1), help="How often each is measured.")
@click.option("--plot", type=click.Path(path_type=Path), help="A .svg or .png file to draw the figures into.")
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

    What stands side by side was measured in turns, on the same pictures and with as many threads.

    \b
    Example:
      dermtl benchmark model.onnx --data images --against timm
    """
    import json
    import tempfile
    from dataclasses import asdict

    from dermtl.cli.extras import needs
    from dermtl.errors import BundleError
    from dermtl.runtime.benchmark import benchmark as measure
    from dermtl.runtime.contender import dermtl_contender, onnx_contender
    from dermtl.runtime.cores import count_cores
    from dermtl.runtime.folder import find_images
    from dermtl.runtime.golden import golden_path, read_golden
    from dermtl.runtime.predictor import load

    threads = threads or count_cores()
    loaded = load(model, threads=threads)
    contenders = [dermtl_contender(loaded, model)]
    if against == "timm":
        with needs("train"):
            from dermtl.export.timm_contender import timm_contender
        contenders.append(timm_contender(loaded.bundle, threads))
    elif against:
        other = Path(against)
        try:
            contenders.append(dermtl_contender(load(other, threads=threads), other))
        except BundleError:
            contenders.append(onnx_contender(other, loaded.bundle.size, threads))
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            files = []
            for sample, _ in read_golden(golden_path(model)):
                files.append(Path(folder, sample.name))
                files[-1].write_bytes(sample.encoded)
        else:
            files = find_images([data])
        timings = measure(contenders, files, rounds=rounds)
    if plot:
        with needs("train"):
            from dermtl.export.benchmark_plot import plot_timings
        plot_timings(timings, plot)
    if as_json:
        click.echo(json.dumps({"threads": threads, "contenders": [asdict(timing) for timing in timings]}, indent=2))
    else:
        _show(timings)


def _show(timings: "Sequence[Timing]") -> None:
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

    columns = [figures(timing) for timing in timings]
    rows = [
        (name, *("-" if column[name] is None else f"{column[name]:.4g}" for column in columns)) for name in columns[0]
    ]
    show_table(("", *(timing.name for timing in timings)), rows)
