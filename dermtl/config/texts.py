"""Numbers and truth values as text if a key expects text: a class called 0, 01, 1e3 or true."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.config.document import Key, Source


def with_texts(data: Any, errors: Sequence[Mapping[str, Any]], source: Source, prefix: Key) -> Any | None:
    """A copy of the data in which numbers and truth values that should be text are replaced by their text in the file.

    Args:
        data: Plain data that a pydantic model refused.
        errors: The validation errors, as pydantic lists them.
        source: Source of the data, with the text of each value.
        prefix: Key of the data in the source.

    Returns:
        None if there is no such value.
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
    """The key that pydantic's location means, without the names of the types that it tried; empty if it is no value."""
    path: Key = ()
    here = data
    for part in loc:
        if part in (here if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()):
            here = here[part]
            path = (*path, part)
    return () if isinstance(here, dict | list) else path
