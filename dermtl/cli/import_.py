"""``dermtl data import``."""

import json
from pathlib import Path

import click


@click.command("import")
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The manifest; default: SRC/manifest.csv.")
@click.option("--format", "name", metavar="NAME", help="The format; default: the one that SRC looks like.")
@click.option("--image-column", metavar="COLUMN", help="Column of the picture's path, name or stem; excludes --format.")
@click.option("--label-column", metavar="COLUMN", help="With --image-column: the class.")
@click.option("--group-column", metavar="COLUMN", help="With --image-column: who or what keeps pictures together.")
@click.option("--mask-column", metavar="COLUMN", help="With --image-column: path, name or stem of the mask.")
@click.option("--explain", is_flag=True, help="Say what would be read, and write nothing.")
@click.option("--allow-missing", is_flag=True, help="Leave out rows whose picture is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(
    source: Path,
    out: Path | None,
    name: str | None,
    image_column: str | None,
    label_column: str | None,
    group_column: str | None,
    mask_column: str | None,
    explain: bool,
    allow_missing: bool,
    as_json: bool,
) -> None:
    """Write the manifest of a data set in the layout in which it is handed out.

    SRC is an unpacked folder, or its table or archive of arrays: class folders, a CSV, HAM10000, ISIC, PAD-UFES-20,
    PH2, MedMNIST, COCO, nnU-Net, MONAI, Hugging Face and what plugins bring. Pictures stay where they are; the manifest
    lies above them, with a lock file of digests beside it. Where folders alone are read although a table lies beside
    them, or would give one class, nothing is written until a format or columns are named.

    \b
    Example:
      dermtl data import data/ham10000
      dermtl data import clinic/ --image-column file --label-column diagnosis --group-column patient
      dermtl data import data/ham10000 --format ham10000 --out data/ham10000/all.csv --allow-missing
    """
    from dermtl.data.importers.ingest import import_data
    from dermtl.data.importers.named import Columns
    from dermtl.data.manifest.folders import first_names

    columns = None
    if image_column is not None:
        columns = Columns(image_column, label_column or "", group_column or "", mask_column or "")
        if name is not None:
            raise click.UsageError("give --format or --image-column, not both")
    elif label_column or group_column or mask_column:
        raise click.UsageError("--label-column, --group-column and --mask-column need --image-column")
    made = import_data(source, out, name=name, columns=columns, allow_missing=allow_missing, write=not explain)
    if as_json:
        keys = ("format", "columns", "num_rows", "num_dropped", "labels", "num_unlabelled", "seen")
        paths = {"manifest": str(made.manifest), "lock": str(made.lock), "unused": [str(path) for path in made.unused]}
        click.echo(json.dumps(paths | {key: getattr(made, key) for key in keys}, indent=2))
        return
    dropped = f", {made.num_dropped} left out" if made.num_dropped else ""
    for line in made.seen:
        click.echo(f"found    {line}")
    verb = "would stand in" if explain else "in"
    click.echo(f"{made.num_rows} pictures {verb} {made.manifest}, read as {made.format}{dropped}")
    click.echo(f"columns  {', '.join(made.columns)}")
    if made.labels:
        click.echo("classes  " + ", ".join(f"{label} {num}" for label, num in made.labels.items()))
    if made.num_unlabelled:
        click.echo(f"unlabelled  {made.num_unlabelled} rows have no class")
    if made.unused:
        names = first_names(made.unused)
        click.echo(f"unused   {len(made.unused)} pictures are in no row: {names}")
