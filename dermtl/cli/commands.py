"""Commands that other distributions bring, through the entry points of group ``dermtl.commands``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

COMMANDS = "dermtl.commands"


def find_commands(taken: Callable[[str], bool]) -> dict[str, str]:
    """Name to the distribution that brings it, none imported; names of the core's own are left out.

    Args:
        taken: Whether the core has a command of a name.
    """
    from dermtl.plugins.installed import distribution_of, entry_points_of

    return {name: distribution_of(points[0]) for name, points in entry_points_of(COMMANDS).items() if not taken(name)}


def load_command(name: str) -> click.Command:
    """The command of a name.

    Raises:
        PluginConflict: Several distributions bring it.
        PluginContract: The plugin fails to import, is no command of click's, or has the name of a command of the core.
    """
    from dermtl.plugins.discovery import pick

    return _load(pick(COMMANDS, name, "command"))


def describe_command(point: EntryPoint) -> tuple[str, str, str]:
    """API (none), state and summary of a command, for lists.

    Raises:
        PluginContract: The plugin fails to import, is no command of click's, or has the name of a command of the core.
    """
    return "", "ok", _load(point).get_short_help_str(limit=100)


def _load(point: EntryPoint) -> click.Command:
    from dermtl.cli import is_own
    from dermtl.errors import PluginContract
    from dermtl.plugins.installed import distribution_of, in_one_line

    where = f"command {point.name!r} of {distribution_of(point)}"
    if is_own(point.name):
        raise PluginContract("the core has a command of this name, which stands", where=where, hint="rename it")
    try:
        command = point.load()
    except (Exception, SystemExit) as error:
        raise PluginContract(f"fails to import: {in_one_line(error)}", where=where) from error
    if not isinstance(command, click.Command):
        raise PluginContract(f"expected a click command, got {type(command).__name__}", where=where)
    return command
