"""Heads that read the outputs of other heads: which heads, in which order, and whether this is possible."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from dermtl.config.source import Key, Source
from dermtl.errors import ConfigError

if TYPE_CHECKING:
    from dermtl.plugins.plan import HeadPlan


def connect(plans: "Mapping[str, HeadPlan]", source: Source) -> "dict[str, HeadPlan]":
    """The plans, with configs connected to the outputs of the heads that they read.

    Args:
        plans: Head to plan.
        source: The experiment, for messages.

    Raises:
        ConfigError: A head reads a head that does not exist, itself through others, or outputs that do not fit.
    """
    reads = {name: tuple(plan.config.reads()) for name, plan in plans.items()}
    if not any(reads.values()):
        return dict(plans)
    for name, sources in reads.items():
        for other in sources:
            if other not in plans or other == name:
                problem = "a head cannot read itself" if other == name else f"there is no head {other!r}"
                others = ", ".join(head for head in plans if head != name) or "none"
                raise _error(source, name, other, f"{problem}; other heads: {others}")
    connected = dict(plans)
    for name in run_order(reads, source):
        if reads[name]:
            kinds = {output: kind for other in reads[name] for output, kind in connected[other].outputs.items()}
            try:
                config = connected[name].config.connected(kinds)
            except ValueError as error:
                raise _error(source, name, reads[name][0], str(error)) from error
            connected[name] = replace(connected[name], config=config)
    return connected


def run_order(reads: Mapping[str, Sequence[str]], source: Source | None = None) -> list[str]:
    """Names of all heads, each after those that it reads, otherwise in the order given.

    Args:
        reads: Head to the heads that it reads.
        source: The experiment, for the message.

    Raises:
        ConfigError: Heads read one another in a circle.
    """
    try:
        return list(TopologicalSorter(reads).static_order())
    except CycleError as error:
        names: list[str] = error.args[1]
        message = f"heads read one another in a circle: {' -> '.join(reversed(names))}"
        if source is None:
            raise ConfigError(message) from error
        raise _error(source, names[-1], names[-2], message) from error


def _error(source: Source, name: str, other: str, message: str) -> ConfigError:
    """An error at the key of a head that names the other head, if there is such a key."""
    key: Key = ("heads", name)
    block = (source.data.get("heads") or {}).get(name) if isinstance(source.data, dict) else None
    if isinstance(block, dict):
        key = (*key, *[key for key, value in block.items() if value == other][:1])
    return ConfigError(f"{'.'.join(map(str, key))}: {message}", where=source.where(key))
