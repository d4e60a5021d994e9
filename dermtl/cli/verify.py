"""``dermtl verify``."""

import sys
from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(model: Path, as_json: bool) -> None:
    """Replay a model's golden samples and compare with what the network answered. Needs no torch.

    Three ways in are checked: pictures of the network's own size, raw pictures of other sizes, and pictures that the
    host letterboxed first. Exit code 1 on a difference above its limit.

    \b
    Example:
      dermtl verify model.onnx
    """
    if not report(model, as_json=as_json):
        sys.exit(1)


def report(model: Path, *, as_json: bool = False) -> bool:
    """Print the comparison; whether all of it holds."""
    import json
    from dataclasses import asdict

    from dermtl.cli.table import show_table
    from dermtl.runtime.golden import golden_path, read_golden, replay
    from dermtl.runtime.predictor import load

    found = replay(load(model), read_golden(golden_path(model)))
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
                "ok" if difference.ok else "DIFFERS",
            )
            for difference in found
        ]
        show_table(("way", "output", "worst", "mean", "limit", "agreed", ""), rows)
    return all(difference.ok for difference in found)
