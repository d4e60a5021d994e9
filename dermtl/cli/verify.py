"""``dermtl verify``."""

import sys
from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--images", type=click.Path(path_type=Path), help="Folder of pictures on which the ways are also compared."
)
@click.option(
    "--run", type=click.Path(path_type=Path), help="The exported run or folds, whose network is also compared."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(model: Path, images: Path | None, run: Path | None, as_json: bool) -> None:
    """Replay a model's golden samples and compare with the outputs of the network. Needs no torch.

    Two ways are checked: raw pictures through the graph, and pictures that the host letterboxed first. With --images,
    your own files are compared both ways, with --run also through the network, which needs torch. Exit code 1 if a
    difference is above its limit.

    \b
    Example:
      dermtl verify model.onnx --images clinic
    """
    if run and not images:
        raise click.UsageError("--run goes with --images: golden samples hold the network's answers already")
    if not report(model, images=images, run=run, as_json=as_json):
        sys.exit(1)


def report(model: Path, *, images: Path | None = None, run: Path | None = None, as_json: bool = False) -> bool:
    """Print the comparison; whether all of it holds."""
    import json
    from dataclasses import asdict

    from dermtl.cli.table import show_table
    from dermtl.runtime.golden import golden_path, read_golden, replay
    from dermtl.runtime.image_files import find_images
    from dermtl.runtime.parity import compare_files
    from dermtl.runtime.predictor import load

    loaded = load(model)
    network = None
    if run:
        from dermtl.cli.extras import needs

        with needs("train"):
            from dermtl.export.network_outputs import network_outputs
        network = network_outputs(run, loaded.kinds)
    found = [
        *replay(loaded, read_golden(golden_path(model))),
        *(compare_files(loaded, find_images([images]), network) if images else ()),
    ]
    if as_json:
        click.echo(json.dumps([asdict(difference) for difference in found], indent=2))
    else:
        rows = [
            (
                difference.path,
                difference.output,
                f"{difference.worst:.2g}",
                f"{difference.mean:.2g}",
                f"{difference.limit:.2g}",
                f"{difference.agreed:.0%}",
                "-" if difference.dice is None else f"{difference.dice:.4f}",
                "ok" if difference.ok else "DIFFERS",
            )
            for difference in found
        ]
        show_table(("way", "output", "worst", "mean", "limit", "agreed", "dice", ""), rows)
    return all(difference.ok for difference in found)
