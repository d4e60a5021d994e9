"""Which installed heads the columns of a table can train. The heads say so themselves; the core names none."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.errors import DermtlError, PluginContract
from dermtl.plugins.discovery import HEADS, load_head, resolve
from dermtl.plugins.installed import entry_points_of
from dermtl.plugins.probe import ask_plugins

_log = logging.getLogger(__name__)


def suggest_heads(columns: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Heads that a table can train, as an experiment writes them.

    Every installed head is asked (:meth:`dermtl.plugins.contract.HeadConfig.suggest`). One that cannot be loaded, hangs
    or ends its process is passed over with a warning: each is tried in another process first. Of two heads of one name,
    the first by the names of their plugins is taken.

    Args:
        columns: Column to its cells that are not empty.

    Returns:
        Head's name to its keys, ``type`` first.
    """
    heads: dict[str, dict[str, Any]] = {}
    points = [(name, point) for name, rivals in sorted(entry_points_of(HEADS).items()) for point in rivals]
    answers = ask_plugins([point for _, point in points], "dermtl.plugins.discovery:describe_head")
    for (name, _), answer in zip(points, answers, strict=True):
        try:
            if isinstance(answer, PluginContract):
                raise answer
            spec, _ = load_head(name)
            suggested = resolve(spec.config, f"head {name!r}").suggest(columns)
        except DermtlError as error:
            _log.warning("passed over: head %s: %s", name, error.message)
            continue
        for head, keys in suggested.items():
            heads.setdefault(head, {"type": name, **keys})
    return heads
