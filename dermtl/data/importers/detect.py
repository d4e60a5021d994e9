"""Which importer reads a source: the one that was named, or the only one that recognises it."""

import logging
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

from dermtl.data.importers.importer import GROUP, Importer
from dermtl.errors import ManifestError, PluginContract, PluginError
from dermtl.plugins.discovery import Listing, distribution_of, find, list_plugins, pick

_log = logging.getLogger(__name__)


def choose_importer(source: Path, name: str | None = None) -> tuple[Importer, EntryPoint]:
    """The importer of a source.

    Args:
        source: A file or a folder that exists.
        name: ``name`` or ``distribution:name``; default: the one that recognises the source.

    Raises:
        PluginError: No importer has this name, several have, or it is broken.
        ManifestError: None recognises the source, or several do.
    """
    if name is not None:
        point = pick(GROUP, name, "importer")
        return _load(point), point
    points = find(GROUP)
    usable = [(importer, point) for named in points.values() for point in named if (importer := _try(point))]
    for general in (False, True):
        asked = [pair for pair in usable if bool(getattr(pair[0], "general", False)) is general]
        found = [pair for pair in asked if _recognises(*pair, source)]
        if len(found) == 1:
            return found[0]
        if found:
            names = [_full(point, len(points[point.name]) > 1) for _, point in found]
            hint = f"name one with --format, such as --format {names[0]}"
            raise ManifestError(f"is recognised as {' and as '.join(names)}", where=str(source), hint=hint)
    hint = "name the right folder or table, or a format with --format"
    raise ManifestError(f"is none of the known formats: {', '.join(points)}", where=str(source), hint=hint)


def list_importers() -> Iterator[Listing]:
    """Every installed importer with its state; never raises."""
    return list_plugins(GROUP, lambda point: ("", " ".join(str(_load(point).summary).split())))


def _recognises(importer: Importer, point: EntryPoint, source: Path) -> bool:
    try:
        return bool(importer.recognises(source))
    except Exception as error:  # noqa: BLE001  one faulty plugin must not keep the others from a source
        _log.warning("passed over importer %s of %s: %s", point.name, distribution_of(point), error)
        return False


def _try(point: EntryPoint) -> Importer | None:
    try:
        return _load(point)
    except PluginError as error:
        _log.warning("passed over: %s", error)
        return None


def _load(point: EntryPoint) -> Importer:
    where = f"importer {point.name!r} of {distribution_of(point)}"
    try:
        importer: Importer = point.load()
    except (Exception, SystemExit) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginContract(f"fails to import: {text}", where=where) from error
    missing = [part for part in ("name", "summary", "recognises", "read") if not hasattr(importer, part)]
    if missing:
        raise PluginContract(f"lacks {', '.join(missing)}", where=where)
    if importer.name != point.name:
        raise PluginContract(f"is named {importer.name!r}", where=where, hint="name both alike")
    return importer


def _full(point: EntryPoint, is_shared: bool) -> str:
    return f"{distribution_of(point)}:{point.name}" if is_shared else point.name
