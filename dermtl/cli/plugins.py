"""``dermtl plugins``."""

import json

import click


@click.group()
def plugins() -> None:
    """Show the installed plugins."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the installed heads with their distribution, version and state.

    \b
    Example:
      dermtl plugins list
    """
    from dataclasses import asdict

    from dermtl.cli.table import show_table
    from dermtl.plugins.discovery import list_heads

    rows = [asdict(listing) for listing in list_heads()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("no heads installed; pip install the distribution that brings one")
        return
    show_table(list(rows[0]), [list(row.values()) for row in rows])
