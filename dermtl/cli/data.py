"""``dermtl data``."""

from pathlib import Path

import click

from dermtl.cli.check import check
from dermtl.cli.import_ import import_
from dermtl.cli.preview import preview
from dermtl.cli.split import split


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
    from dermtl.data.synthetic.dataset import synthesise

    manifest = synthesise(folder, num=num, seed=seed)
    click.echo(f"{num} pictures in {manifest}")


data.add_command(import_)
data.add_command(split)
data.add_command(check)
data.add_command(preview)
