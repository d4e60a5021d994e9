"""Finding plugins through entry points, one broken plugin never harming another.

Nothing is imported until it is asked for. ``name`` picks a plugin; ``distribution:name`` picks one of several that
claim the same name, which is an error otherwise.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from dermtl.errors import PluginConflict, PluginContract, PluginError, PluginNotFound
from dermtl.plugins.spec import API, HeadSpec

HEADS = "dermtl.heads"


@dataclass(frozen=True)
class Listing:
    """One installed plugin and its state, for people.

    Attributes:
        state: ok, broken, incompatible or conflict.
        reason: Why it is not ok; else its summary.
    """

    name: str
    distribution: str
    version: str
    api: str
    state: str
    reason: str


def find(group: str) -> dict[str, list[EntryPoint]]:
    """All entry points of a group by name, without importing any."""
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, _distribution(point))):
        if not any(_distribution(point) == _distribution(other) for other in found.get(point.name, [])):
            found.setdefault(point.name, []).append(point)
    return found


def load_head(name: str) -> tuple[HeadSpec, EntryPoint]:
    """The spec of an installed head.

    Args:
        name: ``name`` or ``distribution:name``.

    Raises:
        PluginNotFound: None has this name.
        PluginConflict: Several have.
        PluginContract: It fails to import, or breaks the contract.
    """
    distribution, _, bare = name.rpartition(":")
    found = find(HEADS)
    points = [point for point in found.get(bare, []) if not distribution or _distribution(point) == distribution]
    if not points:
        near = get_close_matches(bare, found, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "pip install the distribution that brings it"
        raise PluginNotFound(f"no head named {name!r}; installed: {', '.join(found) or 'none'}", hint=hint)
    if len(points) > 1:
        owners = " and ".join(f"{_distribution(point)} {_version(point)}" for point in points)
        raise PluginConflict(
            f"head {bare!r} is brought by {owners}",
            hint=f"write {_distribution(points[0])}:{bare}, or uninstall one",
        )
    return _load_spec(points[0]), points[0]


def resolve(dotted: str, where: str) -> Any:
    """Import ``package.module:Name``.

    Raises:
        PluginContract: It cannot be imported.
    """
    module, _, attribute = dotted.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise PluginContract(f"cannot import {dotted}: {type(error).__name__}: {error}", where=where) from error


def list_heads() -> Iterator[Listing]:
    """Every installed head with its state; never raises."""
    for name, points in find(HEADS).items():
        for point in points:
            api, state = "", "ok"
            try:
                spec = _load_spec(point)
                api, reason = "{}.{}".format(*spec.api), spec.summary
            except PluginError as error:
                state, reason = "incompatible" if "API" in error.message else "broken", error.message
            if len(points) > 1 and state == "ok":
                others = ", ".join(_distribution(other) for other in points if other is not point)
                state, reason = "conflict", f"also brought by {others}; write {_distribution(point)}:{name}"
            yield Listing(name, _distribution(point), _version(point), api, state, reason)


def describe(point: EntryPoint) -> dict[str, str]:
    """Where a plugin comes from, for the record of a run."""
    return {"plugin": point.name, "distribution": _distribution(point), "version": _version(point)}


def _load_spec(point: EntryPoint) -> HeadSpec:
    where = f"plugin {point.name!r} of {_distribution(point)} {_version(point)}"
    try:
        spec = point.load()
    except (Exception, SystemExit) as error:
        raise PluginContract(f"fails to import: {type(error).__name__}: {error}", where=where) from error
    if not isinstance(spec, HeadSpec):
        raise PluginContract(f"expected a HeadSpec, got {type(spec).__name__}", where=where)
    if spec.api[0] != API[0] or spec.api[1] > API[1]:
        raise PluginContract(
            f"needs plugin API {spec.api[0]}.{spec.api[1]}, this dermtl has {API[0]}.{API[1]}",
            where=where,
            hint="install versions that match",
        )
    return spec


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _version(point: EntryPoint) -> str:
    return point.dist.version if point.dist else "?"
