"""``dermtl data import``."""

import json
from pathlib import Path

import click


@click.command("import")
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The manifest; default: SRC/manifest.csv.")
@click.option("--format", "name", metavar="NAME", help="The format; default: the one that SRC looks like.")
@click.option("--allow-missing", is_flag=True, help="Leave out rows whose picture is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(source: Path, out: Path | None, name: str | None, allow_missing: bool, as_json: bool) -> None:
    """Write the manifest of a data set in the layout in which it is handed out.

    SRC is an unpacked folder, or its table or archive of arrays: class folders, a CSV, HAM10000, ISIC, PAD-UFES-20,
    PH2, MedMNIST, COCO, nnU-Net, MONAI, Hugging Face and what plugins bring. Pictures stay where they are; the manifest
    lies above them, with a lock file of digests beside it.

    \b
    Example:
      dermtl data import data/ham10000
      dermtl data import data/ham10000 --format ham10000 --out data/ham10000/all.csv --allow-missing
    """
    from dermtl.data.importers.ingest import import_data

    made = import_data(source, out, name=name, allow_missing=allow_missing)
    if as_json:
        keys = ("format", "columns", "num_rows", "num_dropped", "labels")
        paths = {"manifest": str(made.manifest), "lock": str(made.lock)}
        click.echo(json.dumps(paths | {key: getattr(made, key) for key in keys}, indent=2))
        return
    dropped = f", {made.num_dropped} left out" if made.num_dropped else ""
    click.echo(f"{made.num_rows} pictures in {made.manifest}, read as {made.format}{dropped}")
    click.echo(f"columns  {', '.join(made.columns)}")
    if made.labels:
        click.echo("classes  " + ", ".join(f"{label} {num}" for label, num in made.labels.items()))
