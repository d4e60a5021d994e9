"""``dermtl export``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dermtl.export.precision.gate import Attempt


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="File to write. [default: RUN/model.onnx]")
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    type=click.Choice(["fp32", "fp16", "int8", "auto"]),
    help="Precision of the weights; auto takes int8 if it loses nothing and is faster.",
)
def export(run: Path, out: Path | None, precision: str) -> None:
    """Write a run as one ONNX file, and check it against the network.

    The file takes raw pictures, uint8 [N, H, W, 3] of any size, and gives outputs in their pixels. Golden samples are
    written beside it; dermtl verify replays them anywhere. Lower precision is refused, with a table and exit code 1, if
    it costs more on the validation records than the gate allows, or gains nothing.

    \b
    Example:
      dermtl export runs/demo --out model.onnx
    """
    from dermtl.cli.extras import needs

    with needs("train"):
        from dermtl.export.export import export_run
        from dermtl.export.precision.search import export_precision

    from dermtl.cli.verify import report

    path = out or run / "model.onnx"
    if precision == "fp32":
        export_run(run, path)
    else:
        attempts = export_precision(run, path, precision)
        _show(attempts)
        if precision != "auto" and not attempts[-1].passed:
            click.echo(f"refused: {precision} is not worth its losses here; nothing was written", err=True)
            sys.exit(1)
    click.echo(f"exported: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    if not report(path):
        click.echo(f"{path} does not answer as the network does: do not deploy it", err=True)
        sys.exit(1)


def _show(attempts: "Sequence[Attempt]") -> None:
    from dermtl.cli.table import show_table

    rows = []
    for attempt in attempts:
        verdict = "passed" if attempt.passed else "refused"
        rows.append((attempt.precision, attempt.recipe, "faster", "1", f"{attempt.speedup:.2f}", "", verdict))
        rows.append((attempt.precision, attempt.recipe, "size", "1", f"{attempt.size_ratio:.2f}", "", ""))
        rows.extend(
            (
                attempt.precision,
                attempt.recipe,
                f"{drop.metric} ({attempt.split})",
                f"{drop.before:.4f}",
                f"{drop.after:.4f}",
                f"-{drop.limit:g}",
                "" if drop.ok else "TOO MUCH",
            )
            for drop in attempt.drops
        )
    show_table(("precision", "how", "figure", "fp32", "here", "limit", ""), rows)
