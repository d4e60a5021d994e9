"""Which importer reads a source: the one that was named, or the only one that recognises it."""

import logging
from importlib.metadata import EntryPoint
from pathlib import Path

from dermtl.data.importers.importer import GROUP, Importer
from dermtl.data.importers.layout import folder_of
from dermtl.data.importers.seen import suggest
from dermtl.data.manifest.folders import look_around
from dermtl.errors import ManifestError, PluginContract
from dermtl.plugins.discovery import pick
from dermtl.plugins.installed import CORE, distribution_of, entry_points_of, in_one_line
from dermtl.plugins.probe import ask_plugins

_log = logging.getLogger(__name__)


def choose_importer(source: Path, name: str | None = None) -> tuple[Importer, EntryPoint]:
    """The importer of a source.

    Unless one is named, those of plugins are asked in another process: one that is broken, or hangs, is passed over.

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
    named = entry_points_of(GROUP)
    points = [point for rivals in named.values() for point in rivals]
    for general in (False, True):
        points, found = _ask(points, source, general)
        if len(found) == 1:
            return _load(found[0]), found[0]
        if found:
            names = [_full(point, len(named[point.name]) > 1) for point in found]
            hint = f"name one with --format, such as --format {names[0]}"
            raise ManifestError(f"is recognised as {' and as '.join(names)}", where=str(source), hint=hint)
    looks = suggest(source, look_around(folder_of(source)))
    hint = looks or "name the right folder or table, a format with --format, or the columns, see --help"
    raise ManifestError(f"is none of the known formats: {', '.join(named)}", where=str(source), hint=hint)


def recognises(point: EntryPoint, source: str, general: bool) -> bool:
    """Whether an importer is general, or special, as asked, and recognises a source.

    Raises:
        PluginContract: The importer is broken, or fails to answer.
    """
    importer = _load(point)
    try:
        return bool(getattr(importer, "general", False)) is general and bool(importer.recognises(Path(source)))
    except (Exception, SystemExit) as error:
        raise PluginContract(f"cannot say whether it knows the source: {in_one_line(error)}") from error


def describe_importer(point: EntryPoint) -> tuple[str, str, str]:
    """API (none), state and summary of an importer, for lists.

    Raises:
        PluginContract: The importer fails to import, lacks a member, or is named otherwise than its entry point.
    """
    return "", "ok", " ".join(str(_load(point).summary).split())


def _ask(points: list[EntryPoint], source: Path, general: bool) -> tuple[list[EntryPoint], list[EntryPoint]]:
    """The importers that answer, and those of them that recognise the source; those of plugins in another process."""
    plugins = [point for point in points if distribution_of(point) != CORE]
    answers = iter(ask_plugins(plugins, f"{__name__}:recognises", str(source), general))
    answering, found = [], []
    for point in points:
        owner = distribution_of(point)
        answer = recognises(point, str(source), general) if owner == CORE else next(answers)
        if isinstance(answer, PluginContract):
            message = "passed over: importer %s of %s: %s (--format %s:%s uses it alone)"
            _log.warning(message, point.name, owner, answer.message, owner, point.name)
            continue
        answering.append(point)
        if answer:
            found.append(point)
    return answering, found


def _load(point: EntryPoint) -> Importer:
    where = f"importer {point.name!r} of {distribution_of(point)}"
    try:
        importer: Importer = point.load()
    except (Exception, SystemExit) as error:
        raise PluginContract(f"fails to import: {in_one_line(error)}", where=where) from error
    missing = [part for part in ("name", "summary", "recognises", "read") if not hasattr(importer, part)]
    if missing:
        raise PluginContract(f"lacks {', '.join(missing)}", where=where)
    if importer.name != point.name:
        raise PluginContract(f"is named {importer.name!r}", where=where, hint="name both alike")
    return importer


def _full(point: EntryPoint, is_shared: bool) -> str:
    return f"{distribution_of(point)}:{point.name}" if is_shared else point.name
