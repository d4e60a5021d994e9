"""The trackers that an experiment names, found and created before anything is written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import Any

from dermtl.config.source import Source
from dermtl.errors import ConfigError, PluginContract, PluginError
from dermtl.plugins.discovery import pick
from dermtl.plugins.installed import distribution_of
from dermtl.tracking.tracker import GROUP, Tracker


def make_trackers(names: Sequence[str], source: Source) -> dict[str, Tracker]:
    """Create the trackers under ``training.trackers``; no other is imported.

    Args:
        names: Names, each ``name`` or ``distribution:name``.
        source: The experiment, for the line of a name in messages.

    Raises:
        ConfigError: One is not installed, lacks a package, or is broken; the message names its line.
    """
    made: dict[str, Tracker] = {}
    for index, name in enumerate(names):
        try:
            made[name] = make_tracker(pick(GROUP, name, "tracker"))
        except PluginError as error:
            where = source.where(("training", "trackers", index))
            reason = f"{error.where}: {error.message}" if error.where else error.message
            raise ConfigError(f"training.trackers.{index}: {reason}", where=where, hint=error.hint) from error
    return made


def describe_tracker(point: EntryPoint) -> tuple[str, str, str]:
    """API (none), state and summary of a tracker, for lists. It is not created: its packages may be slow to import.

    Raises:
        PluginContract: The tracker cannot be imported, or is no class or function.
    """
    return "", "ok", (_load(point).__doc__ or "").partition("\n")[0]


def make_tracker(point: EntryPoint) -> Tracker:
    """Import and create one tracker.

    Raises:
        PluginContract: The tracker fails, needs a package that is not installed, or lacks a method of a tracker.
    """
    factory = _load(point)
    with _errors(point):
        tracker = factory()
    missing = [name for name in ("begin", "epoch", "end") if not hasattr(tracker, name)]
    if missing:
        raise PluginContract(f"is a {type(tracker).__name__} without {', '.join(missing)}", where=_where(point))
    made: Tracker = tracker
    return made


def _load(point: EntryPoint) -> Any:
    with _errors(point):
        factory = point.load()
    if not callable(factory):
        raise PluginContract(f"expected a class or a function, got {type(factory).__name__}", where=_where(point))
    return factory


@contextmanager
def _errors(point: EntryPoint) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise PluginContract(f"needs {error.name}", where=_where(point), hint=_install(point, error.name)) from error
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginContract(f"cannot be made: {reason}", where=_where(point)) from error


def _where(point: EntryPoint) -> str:
    return f"tracker {point.name!r} of {distribution_of(point)}"


def _install(point: EntryPoint, module: str | None) -> str:
    """The pip command that installs a module: the extra of the tracker's name, if its distribution has one."""
    extras = (point.dist.metadata.get_all("Provides-Extra") if point.dist else None) or []
    return f"pip install '{distribution_of(point)}[{point.name}]'" if point.name in extras else f"pip install {module}"
