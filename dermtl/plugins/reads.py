"""Heads that see what other heads answer: who reads whom, in which order they run, and whether that is possible."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from dermtl.config.source import Key, Source
from dermtl.errors import ConfigError

if TYPE_CHECKING:
    from dermtl.plugins.plan import HeadPlan


def connect(plans: "Mapping[str, HeadPlan]", source: Source) -> "dict[str, HeadPlan]":
    """The plans, each with what the outputs of the heads that it reads tell.

    Args:
        plans: Head to plan.
        source: The experiment, for messages.

    Raises:
        ConfigError: A head reads one that does not exist, itself in a circle, or one whose outputs do not fit.
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
    found = dict(plans)
    for name in run_order(reads, source):
        if reads[name]:
            kinds = {output: kind for other in reads[name] for output, kind in found[other].outputs.items()}
            try:
                config = found[name].config.connected(kinds)
            except ValueError as error:
                raise _error(source, name, reads[name][0], str(error)) from error
            found[name] = replace(found[name], config=config)
    return found


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
        told = f"heads read one another in a circle: {' -> '.join(reversed(names))}"
        if source is None:
            raise ConfigError(told) from error
        raise _error(source, names[-1], names[-2], told) from error


def _error(source: Source, name: str, other: str, told: str) -> ConfigError:
    """At the key of a head that holds the name of the other, if there is one."""
    key: Key = ("heads", name)
    block = (source.data.get("heads") or {}).get(name) if isinstance(source.data, dict) else None
    if isinstance(block, dict):
        key = (*key, *[key for key, value in block.items() if value == other][:1])
    return ConfigError(f"{'.'.join(map(str, key))}: {told}", where=source.where(key))
