"""``dermtl plugins``."""

import click

from dermtl.cli.plugins.check import check
from dermtl.cli.plugins.list import list_
from dermtl.cli.plugins.new import new


@click.group()
def plugins() -> None:
    """Show, check and begin plugins."""


plugins.add_command(list_)
plugins.add_command(check)
plugins.add_command(new)
