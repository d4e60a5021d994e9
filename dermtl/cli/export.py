"""``dermtl export``."""

import sys
from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="File to write. [default: RUN/model.onnx]")
def export(run: Path, out: Path | None) -> None:
    """Write a run as one ONNX file, and check it against the network.

    The file takes raw pictures, uint8 [N, H, W, 3] of any size, and answers in their own pixels. Golden samples go
    beside it; dermtl verify replays them anywhere.

    \b
    Example:
      dermtl export runs/demo --out model.onnx
    """
    from dermtl.cli.extras import needs

    with needs("train"):
        from dermtl.export.export import export_run

    from dermtl.cli.verify import report

    path = export_run(run, out or run / "model.onnx")
    click.echo(f"exported: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    if not report(path):
        sys.exit(1)
