"""``dermtl plugins new``."""

from pathlib import Path

import click

KINDS = ("category", "tags", "circle", "mask", "number", "own")


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="category", show_default=True, help="What it predicts.")
@click.option(
    "--into",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to make it in; default: dermtl-NAME here.",
)
def new(name: str, kind: str, into: Path | None) -> None:
    """Begin a distribution with a head of your own: a working one, with its test.

    NAME is what an experiment will write as type: lower case letters, digits and underscores.

    \b
    Example:
      dermtl plugins new freckle --kind circle
    """
    from dermtl.plugins.scaffold import render

    folder = into or Path(f"dermtl-{name.replace('_', '-')}")
    render(name, kind, folder)
    click.echo(f"made {folder}; next:")
    click.echo(f"  pip install -e {folder}")
    click.echo(f"  dermtl plugins check {name} --strict")
