"""The entry points of all installed distributions, read and not imported; ``DERMTL_PLUGINS`` picks some of them."""

import logging
import os
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

_log = logging.getLogger(__name__)
VARIABLE = "DERMTL_PLUGINS"
CORE = "dermtl"
_UNKNOWN = "unknown"
_UNREADABLE = (OSError, TypeError, ValueError, LookupError, AttributeError)  # what importlib.metadata lets through


def entry_points_of(group: str) -> dict[str, list[EntryPoint]]:
    """All entry points of a group by name, without importing any.

    The environment variable ``DERMTL_PLUGINS`` leaves only those that it lists, ``name`` or ``distribution:name``, with
    commas between; ``none`` leaves none. What the core itself brings is always there.
    """
    chosen = allowed()
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(_installed(group), key=lambda point: (point.name, distribution_of(point))):
        owner = distribution_of(point)
        if chosen is None or owner == CORE or not chosen.isdisjoint((point.name, f"{owner}:{point.name}")):
            found.setdefault(point.name, []).append(point)
    return found


def allowed() -> frozenset[str] | None:
    """What ``DERMTL_PLUGINS`` lists; None where it is not set, or is empty."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    return frozenset() if text == "none" else frozenset(name.strip() for name in text.split(","))


def origin_of(point: EntryPoint) -> dict[str, str]:
    """Name, distribution and version of a plugin, for the record of a run."""
    return {"plugin": point.name, "distribution": distribution_of(point), "version": version_of(point)}


def distribution_of(point: EntryPoint) -> str:
    """Name of the distribution that brings a plugin."""
    return _stated(point.dist, "Name", _UNKNOWN)


def version_of(point: EntryPoint) -> str:
    """Version of the distribution that brings a plugin."""
    return _stated(point.dist, "Version", "?")


def in_one_line(error: BaseException) -> str:
    """An exception's type and text."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _installed(group: str) -> Iterator[EntryPoint]:
    """A group's entry points, of several copies of a distribution the first on the path.

    ``importlib.metadata.entry_points`` fails as a whole where one distribution's list is malformed. Distributions that
    do not say their name are copies where they bring the same.
    """
    seen: set[object] = set()
    for distribution in distributions():
        try:
            points = list(distribution.entry_points.select(group=group))
        except _UNREADABLE as error:
            owner = _stated(distribution, "Name", _UNKNOWN)
            _log.warning("the entry points of distribution %s cannot be read: %s", owner, in_one_line(error))
            continue
        if not points:  # whose name is not worth the reading
            continue
        name = _stated(distribution, "Name", _UNKNOWN)
        key = name if name != _UNKNOWN else frozenset((point.name, point.value) for point in points)
        if key not in seen:
            seen.add(key)
            yield from points


def _stated(distribution: Distribution | None, key: str, missing: str) -> str:
    """What the distribution says of itself; a removal that was cut short leaves one that says nothing."""
    try:
        return (distribution.metadata[key] if distribution else None) or missing
    except _UNREADABLE:
        return missing
