"""``dermtl data split``."""

from pathlib import Path

import click

from dermtl.cli.given import given

_SHARES = ("train", "val", "test")
_PRESETS = {"esteva2017": 9}  # folds of the published cross-validation


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


def _refuse_ignored(weights: Path | None, features: str | None) -> None:
    """Refuse options of which one would be passed over without a word."""
    named = given("fractions", "folds", "preset")
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)} exclude one another: each says into which parts to deal")
    if weights is not None and features is None:
        raise click.UsageError("--weights needs --features, the model that they belong to")


@click.command()
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
@click.option("--folds", type=click.IntRange(min=2), help="Deal into so many folds; excludes --fractions and --preset.")
@click.option("--preset", type=click.Choice(list(_PRESETS)), help="Folds as published: esteva2017 has nine.")
@click.option("--stratify", metavar="COLUMN", help="Balance this column's values; default: label, where it exists.")
@click.option("--copies/--no-copies", default=True, show_default=True, help="Find copies of one picture first.")
@click.option(
    "--features", metavar="NAME", help="Also list pairs that are near in a timm model's features; for review."
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Safetensors file of the --features model; default: timm's weights.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same split.")
def split(
    csv: Path,
    out: Path,
    by: tuple[str, ...],
    fractions: dict[str, float],
    folds: int | None,
    preset: str | None,
    stratify: str | None,
    copies: bool,
    features: str | None,
    weights: Path | None,
    seed: int,
) -> None:
    """Deal the pictures of CSV (or of a folder of class folders) out to train, val and test by whole groups.

    Groups are the connected pictures of equal patient_id, lesion_id, group and the like, or of those given by --by, and
    copies of one picture, however turned, mirrored, rescaled or re-encoded.
    Writes splits.csv, balance.csv, leakage_pairs.csv and leakage.html, a page of the pairs for review.

    \b
    Example:
      dermtl data split data/demo/manifest.csv --out splits/demo --by patient_id
    """
    _refuse_ignored(weights, features)
    from dermtl.cli.extras import needs
    from dermtl.cli.table import show_table
    from dermtl.config.experiment import Data, Split
    from dermtl.data.duplicates.near_duplicates import add_neighbours, find_copies, write_copies
    from dermtl.data.duplicates.review_page import write_review
    from dermtl.data.manifest.groups import tell_groups
    from dermtl.data.manifest.read import read_manifest
    from dermtl.data.manifest.split import BALANCE, balance, fold_records, split_records, write_folds, write_splits

    root, manifest = (csv, ".") if csv.is_dir() else (csv.parent, csv.name)
    settings = Data(root=root, manifest=manifest, group=list(by) or None, split=Split(**fractions, seed=seed))
    records = read_manifest(settings)
    tell_groups(records, settings.group)
    if stratify is None and "label" in records[0].cells:
        stratify = "label"
    found = find_copies(records) if copies else []
    if features is not None:
        with needs("train"):
            from dermtl.model.features import pooled_features
        found = add_neighbours(found, pooled_features(records, features, weights))
    num = _PRESETS[preset] if preset else folds
    if num is None:
        placed = split_records(records, settings, stratify, copies=found)
        write_splits(out, placed, stratify)
    else:
        placed = fold_records(records, settings, num, stratify, copies=found)
        write_folds(out, placed, stratify)
    if copies or features:
        write_copies(out, placed, found)
        write_review(out / "leakage.html", placed, found)
        sure = sum(copy.is_sure for copy in found)
        click.echo(f"{sure} pairs of copies joined, {len(found) - sure} to review in {out / 'leakage.html'}")
    show_table(BALANCE, [[str(cell) for cell in row] for row in balance(placed, stratify)])
