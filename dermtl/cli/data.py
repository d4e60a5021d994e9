"""``dermtl data``."""

from pathlib import Path

import click

_SHARES = ("train", "val", "test")


def _fractions(ctx: click.Context, param: click.Parameter, value: str) -> dict[str, float]:
    """``train=.7,val=.15,test=.15`` as numbers; a split that is not named gets nothing."""
    shares = dict.fromkeys(_SHARES, 0.0)
    for part in value.split(","):
        split, _, share = part.strip().partition("=")
        try:
            number = float(share)
        except ValueError:
            number = -1.0
        if split not in shares or not 0 <= number <= 1:
            raise click.BadParameter(f"{part!r}: expected train, val or test, '=' and a number from 0 to 1", ctx, param)
        shares[split] = number
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise click.BadParameter(f"{value!r} must sum to 1, not {sum(shares.values()):g}", ctx, param)
    return shares


@click.group()
def data() -> None:
    """Make and split data."""


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--num", type=click.IntRange(min=1), default=300, show_default=True, help="Number of pictures.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same pictures.")
def synth(folder: Path, num: int, seed: int) -> None:
    """Draw pictures of skin lesions with classes, masks, circles and numbers into DIR.

    \b
    Example:
      dermtl data synth data/demo --num 300
    """
    from dermtl.data.synth import synthesise

    manifest = synthesise(folder, num=num, seed=seed)
    click.echo(f"{num} pictures in {manifest}")


@data.command()
@click.argument("csv", metavar="CSV", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to.")
@click.option("--by", multiple=True, metavar="COLUMN", help="Keep equal values together; may be repeated.")
@click.option(
    "--fractions",
    callback=_fractions,
    default="train=.7,val=.15,test=.15",
    show_default=True,
    metavar="SHARES",
    help="Shares of the pictures; they sum to 1.",
)
@click.option("--stratify", metavar="COLUMN", help="Balance this column's values; default: label, where it exists.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same split.")
def split(
    csv: Path, out: Path, by: tuple[str, ...], fractions: dict[str, float], stratify: str | None, seed: int
) -> None:
    """Deal the pictures of CSV (or of a folder of class folders) out to train, val and test by whole groups.

    Groups are the connected pictures of equal patient_id, lesion_id or group, or of the columns given by --by.
    Writes splits.csv and balance.csv.

    \b
    Example:
      dermtl data split data/demo/manifest.csv --out splits/demo --by patient_id
    """
    from dermtl.config.experiment import Data, Split
    from dermtl.data.manifest import read_manifest
    from dermtl.data.split import BALANCE, balance, split_records, write_splits

    root, manifest = (csv, ".") if csv.is_dir() else (csv.parent, csv.name)
    settings = Data(root=root, manifest=manifest, group=list(by) or None, split=Split(**fractions, seed=seed))
    records = read_manifest(settings)
    if stratify is None and "label" in records[0].cells:
        stratify = "label"
    placed = split_records(records, settings, stratify)
    write_splits(out, placed, stratify)
    rows = [BALANCE, *([str(cell) for cell in row] for row in balance(placed, stratify))]
    widths = [max(len(row[index]) for row in rows) for index in range(len(BALANCE))]
    for row in rows:
        texts, numbers = zip(row[:2], widths[:2], strict=True), zip(row[2:], widths[2:], strict=True)
        cells = [text.ljust(width) for text, width in texts] + [text.rjust(width) for text, width in numbers]
        click.echo("  ".join(cells))
