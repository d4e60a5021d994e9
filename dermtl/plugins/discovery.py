"""Discovery of plugins by name; a broken plugin never affects another.

A plugin is imported only when it is used. ``name`` picks a plugin; ``distribution:name`` picks one of several with the
same name, which is an error otherwise.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from typing import Any

from dermtl.errors import PluginConflict, PluginContract, PluginError, PluginNotFound
from dermtl.plugins.installed import CORE, VARIABLE, allowed, distribution_of, entry_points_of, in_one_line, version_of
from dermtl.plugins.spec import SERVED, HeadSpec

HEADS = "dermtl.heads"


@dataclass(frozen=True)
class Listing:
    """An installed plugin and its state, for lists.

    Attributes:
        name: Name of the plugin.
        group: Group of its entry point, such as ``dermtl.heads``.
        distribution: Distribution that contains it.
        version: Version of this distribution.
        api: Plugin API that it was written for; empty if its group has none.
        state: ok, broken, incompatible or conflict.
        reason: Summary of the plugin, or the reason if its state is not ok.
    """

    name: str
    group: str
    distribution: str
    version: str
    api: str
    state: str
    reason: str


def load_head(name: str) -> tuple[HeadSpec, EntryPoint]:
    """The spec of an installed head.

    Args:
        name: ``name`` or ``distribution:name``.

    Raises:
        PluginNotFound: No plugin has this name.
        PluginConflict: Several plugins have this name.
        PluginContract: The plugin fails to import, breaks the contract, or was written for an API that is not served.
    """
    point = pick(HEADS, name, "head")
    spec = _read_spec(point)
    _require_served(spec, point)
    return spec, point


def pick(group: str, name: str, what: str) -> EntryPoint:
    """The entry point of a name, not imported.

    Args:
        group: Group of entry points.
        name: ``name`` or ``distribution:name``.
        what: What a plugin of the group is called in messages.

    Raises:
        PluginNotFound: No plugin has this name.
        PluginConflict: Several plugins have this name.
    """
    distribution, _, bare = name.rpartition(":")
    found = entry_points_of(group)
    points = [point for point in found.get(bare, []) if not distribution or distribution_of(point) == distribution]
    if not points:
        near = get_close_matches(bare, found, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "pip install the distribution that brings it"
        if allowed() is not None:
            hint = f"the environment variable {VARIABLE} leaves only what it lists"
        raise PluginNotFound(f"no {what} named {name!r}; installed: {', '.join(found) or 'none'}", hint=hint)
    if len(points) > 1:
        owners = " and ".join(f"{distribution_of(point)} {version_of(point)}" for point in points)
        raise PluginConflict(
            f"{what} {bare!r} is brought by {owners}",
            hint=f"write {distribution_of(points[0])}:{bare}, or uninstall one",
        )
    return points[0]


def resolve(dotted: str, where: str) -> Any:
    """Import ``package.module:Name``.

    Raises:
        PluginContract: The module or the name in it cannot be imported.
    """
    module, _, attribute = dotted.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        hint = "dermtl plugins list says whose it is: mend it, or install it again"
        raise PluginContract(f"cannot import {dotted}: {in_one_line(error)}", where=where, hint=hint) from error


def describe_head(point: EntryPoint) -> tuple[str, str, str]:
    """API, state and summary of a head, for :func:`list_plugins`.

    Raises:
        PluginContract: The head's spec, config or metrics cannot be imported, or the spec breaks the contract.
    """
    spec = _read_spec(point)
    api = "{}.{}".format(*spec.api)
    try:
        _require_served(spec, point)
    except PluginContract as error:
        return api, "incompatible", f"{error.message} ({error.hint})"
    for dotted in (spec.config, spec.metrics):  # the head itself may need torch, which may not be installed
        resolve(dotted, _where(point))
    return api, "ok", spec.summary


def list_plugins(group: str, describe: Callable[[EntryPoint], Sequence[str]]) -> Iterator[Listing]:
    """Every installed plugin of a group with its state; never raises.

    Args:
        group: Group of entry points.
        describe: Gives API, state and summary (or the reason if the state is not ok) of a plugin; raises a PluginError
            if the plugin is broken.
    """
    for points in entry_points_of(group).values():
        for point in points:
            try:
                api, state, reason = describe(point)
            except PluginError as error:
                api, state = "", "broken"
                reason = f"{error.message} ({error.hint})" if error.hint else error.message
            if state == "ok" and (rivals := _rivals_of(point, points)):
                state, reason = "conflict", rivals
            yield Listing(point.name, group, distribution_of(point), version_of(point), api, state, reason)


def _rivals_of(point: EntryPoint, points: Sequence[EntryPoint]) -> str:
    """The other distributions with a plugin of this name, in words; empty if there is none."""
    others = ", ".join(distribution_of(other) for other in points if other is not point)
    return f"also brought by {others}; write {distribution_of(point)}:{point.name}" if others else ""


def _read_spec(point: EntryPoint) -> HeadSpec:
    where = _where(point)
    try:
        spec = point.load()
    except (Exception, SystemExit) as error:
        raise PluginContract(f"fails to import: {in_one_line(error)}", where=where) from error
    if not isinstance(spec, HeadSpec):
        raise PluginContract(f"expected a HeadSpec, got {type(spec).__name__}", where=where)
    if spec.name != point.name:  # a run stores the name, and finds the plugin again by it
        raise PluginContract(f"its HeadSpec is named {spec.name!r}", where=where, hint="name both alike")
    if not (isinstance(spec.api, tuple) and [type(number) for number in spec.api] == [int, int]):
        raise PluginContract(f"expected api as (major, minor), got {spec.api!r}", where=where)
    return spec


_FROM_API_1 = (
    "upgrade the plugin, or migrate it: Head.loss now gives what each row adds to a term, [n], instead of a mean, and "
    "Head.weights what each row adds to its denominator; docs/plugins.md says how; then write api=(2, 0)"
)


def _require_served(spec: HeadSpec, point: EntryPoint) -> None:
    """Refuse a head whose major version is not served, or only with an older minor version."""
    if any(spec.api[0] == major and spec.api[1] <= minor for major, minor in SERVED):
        return
    owner = distribution_of(point)
    late, early = (CORE, owner) if spec.api > max(SERVED) else (owner, CORE)
    is_ended = all(major > 1 for major, _ in SERVED)
    served = " and ".join(f"{major}.{minor}" for major, minor in SERVED)
    raise PluginContract(
        f"needs plugin API {spec.api[0]}.{spec.api[1]}, this dermtl has {served}",
        where=_where(point),
        hint=_FROM_API_1
        if is_ended and spec.api[0] == 1
        else f"pip install --upgrade {late}, or install an older {early}",
    )


def _where(point: EntryPoint) -> str:
    return f"plugin {point.name!r} of {distribution_of(point)} {version_of(point)}"
