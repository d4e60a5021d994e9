"""``dermtl plugins list``."""

import json

import click

_QUESTIONS = {
    "dermtl.heads": "dermtl.plugins.discovery:describe_head",
    "dermtl.importers": "dermtl.data.importers.detect:describe_importer",
    "dermtl.trackers": "dermtl.tracking.installed:describe_tracker",
    "dermtl.commands": "dermtl.cli.commands:describe_command",
}


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the installed heads, importers, trackers and commands with their distribution, version and state.

    Each is imported in another process; one that takes longer than 5 s, or ends the process, is broken. The environment
    variable DERMTL_PLUGINS selects plugins (name or distribution:name, separated by commas; none for none).

    \b
    Example:
      dermtl plugins list
    """
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import asdict

    from dermtl.cli.table import show_table
    from dermtl.plugins.probe import try_plugins

    with ThreadPoolExecutor() as pool:  # groups at the same time: each waits for a process
        groups = list(pool.map(lambda item: list(try_plugins(*item)), _QUESTIONS.items()))
    rows = [asdict(listing) for listings in groups for listing in listings]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("no plugins installed; pip install the distribution that brings one")
        return
    show_table(list(rows[0]), [list(row.values()) for row in rows])
