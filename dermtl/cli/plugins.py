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

    from dermtl.plugins.discovery import list_heads

    rows = [asdict(listing) for listing in list_heads()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("no heads installed; for example: pip install dermtl-classification")
        return
    keys = list(rows[0])
    widths = [max(len(key), *(len(row[key]) for row in rows)) for key in keys]
    for cells in (keys, *([row[key] for key in keys] for row in rows)):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
