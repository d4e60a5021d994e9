"""The entry points of all installed distributions, without importing them; ``DERMTL_PLUGINS`` selects some."""

import logging
import os
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

_log = logging.getLogger(__name__)
VARIABLE = "DERMTL_PLUGINS"
CORE = "dermtl"
_UNKNOWN = "unknown"
_UNREADABLE = (
    OSError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
)  # for damaged metadata


def entry_points_of(group: str) -> dict[str, list[EntryPoint]]:
    """All entry points of a group by name, without importing any.

    The environment variable ``DERMTL_PLUGINS`` selects those that it lists, ``name`` or ``distribution:name``,
    separated by commas; ``none`` selects none. Plugins of dermtl itself are always selected.
    """
    chosen = allowed()
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(_installed(group), key=lambda point: (point.name, distribution_of(point))):
        owner = distribution_of(point)
        if chosen is None or owner == CORE or not chosen.isdisjoint((point.name, f"{owner}:{point.name}")):
            found.setdefault(point.name, []).append(point)
    return found


def allowed() -> frozenset[str] | None:
    """The names in ``DERMTL_PLUGINS``; None if it is not set, or empty."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    return frozenset() if text == "none" else frozenset(name.strip() for name in text.split(","))


def origin_of(point: EntryPoint) -> dict[str, str]:
    """Name, distribution and version of a plugin, for the record of a run."""
    return {"plugin": point.name, "distribution": distribution_of(point), "version": version_of(point)}


def distribution_of(point: EntryPoint) -> str:
    """Name of the distribution that contains a plugin."""
    return _field(point.dist, "Name", _UNKNOWN)


def version_of(point: EntryPoint) -> str:
    """Version of the distribution that contains a plugin."""
    return _field(point.dist, "Version", "?")


def in_one_line(error: BaseException) -> str:
    """Type and message of an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _installed(group: str) -> Iterator[EntryPoint]:
    """The entry points of a group; of several copies of a distribution, those of the first on the path.

    ``importlib.metadata.entry_points`` fails as a whole if the list of one distribution is malformed. Distributions
    without a name are copies of each other if they have the same entry points.
    """
    seen: set[object] = set()
    for distribution in distributions():
        try:
            points = list(distribution.entry_points.select(group=group))
        except _UNREADABLE as error:
            owner = _field(distribution, "Name", _UNKNOWN)
            _log.warning("the entry points of distribution %s cannot be read: %s", owner, in_one_line(error))
            continue
        if not points:  # reading the name would cost time
            continue
        name = _field(distribution, "Name", _UNKNOWN)
        key = name if name != _UNKNOWN else frozenset((point.name, point.value) for point in points)
        if key not in seen:
            seen.add(key)
            yield from points


def _field(distribution: Distribution | None, key: str, missing: str) -> str:
    """A field of the distribution's metadata; a distribution that was only partly removed may have none."""
    try:
        return (distribution.metadata[key] if distribution else None) or missing
    except _UNREADABLE:
        return missing
