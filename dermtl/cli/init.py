"""``dermtl init``."""

from pathlib import Path

import click


@click.command()
@click.argument("source", metavar="FOLDER|TABLE.csv", type=click.Path(path_type=Path))
@click.option("--label", metavar="COLUMN", help="Column of the class.")
@click.option("--mask", metavar="COLUMN", help="Column with the path of the mask.")
@click.option("--group", metavar="COLUMN", help="Column that keeps pictures together, such as the patient.")
@click.option("--backbone", metavar="NAME", help="Any name that timm knows. [default: the preset's]")
@click.option("--weights", metavar="FILE", type=click.Path(path_type=Path), help="Safetensors file of the backbone.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="experiment.yaml", show_default=True, help="File to write."
)
def init(
    source: Path,
    label: str | None,
    mask: str | None,
    group: str | None,
    backbone: str | None,
    weights: Path | None,
    out: Path,
) -> None:
    """Write the experiment file that dermtl train FOLDER would begin with, and train nothing.

    \b
    Example:
      dermtl init photos --label diagnosis --out photos.yaml
      dermtl train photos.yaml
    """
    from dermtl.data.importers.named import Columns
    from dermtl.errors import DataError
    from dermtl.files.atomic import write_atomic
    from dermtl.starter.start import start_experiment

    if out.exists():
        raise DataError("exists already", where=str(out), hint="give another --out")
    named = Columns(label=label or "", group=group or "", mask=mask or "")
    write_atomic(out, start_experiment(source, named, backbone=backbone, weights=weights))
    click.echo(f"written: {out}; next: dermtl train {out}")
