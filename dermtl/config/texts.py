"""Numbers and truth values as text, where a key expects text: a class called 0, 01, 1e3 or true."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.config.document import Key, Source


def with_texts(data: Any, errors: Sequence[Mapping[str, Any]], source: Source, prefix: Key) -> Any | None:
    """A copy of ``data`` in which plain values that should have been text are the text that stands in the file.

    Args:
        data: Plain data that a pydantic model refused.
        errors: The validation errors, as pydantic lists them.
        source: Knows how each value was written.
        prefix: Key under which ``data`` stands in ``source``.

    Returns:
        None where nothing of the kind was found.
    """
    odd = [error for error in errors if error["type"] == "string_type"]
    wrong = {_path(data, error["loc"]) for error in odd if isinstance(error["input"], bool | int | float)} - {()}
    if not wrong:
        return None
    data = copy.deepcopy(data)
    for path in wrong:
        holder = data
        for part in path[:-1]:
            holder = holder[part]
        value = holder[path[-1]]
        holder[path[-1]] = source.texts.get((*prefix, *path), str(value))
    return data


def _path(data: Any, loc: Sequence[str | int]) -> Key:
    """The part of pydantic's place that leads through the data: names of the types it tried are left out.

    Empty where it leads to no plain value.
    """
    path: Key = ()
    here = data
    for part in loc:
        if part in (here if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()):
            here = here[part]
            path = (*path, part)
    return () if isinstance(here, dict | list) else path
