"""``dermtl plugins``."""

import json

import click


@click.group()
def plugins() -> None:
    """Show the installed plugins."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the installed heads, importers and trackers with their distribution, version and state.

    \b
    Example:
      dermtl plugins list
    """
    from dataclasses import asdict

    from dermtl.cli.table import show_table
    from dermtl.data.importers.detect import list_importers
    from dermtl.plugins.discovery import list_heads
    from dermtl.tracking.installed import list_trackers

    rows = [asdict(listing) for listings in (list_heads(), list_importers(), list_trackers()) for listing in listings]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("no plugins installed; pip install the distribution that brings one")
        return
    show_table(list(rows[0]), [list(row.values()) for row in rows])
