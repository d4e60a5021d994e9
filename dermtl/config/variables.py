"""``${NAME}`` and ``${NAME:-default}`` in the strings of an experiment, replaced from the environment."""

import os
import re
from typing import Any

from dermtl.config.document import Key, Source, dotted
from dermtl.errors import ConfigError

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def expand(value: Any, key: Key, source: Source) -> Any:
    """A copy of a value in which the variables in every string are replaced.

    Args:
        value: Plain data.
        key: Key of the value in the source.
        source: Source of the value, for messages.

    Raises:
        ConfigError: A variable is not set and has no default.
    """
    if isinstance(value, dict):
        return {name: expand(inner, (*key, name), source) for name, inner in value.items()}
    if isinstance(value, list):
        return [expand(inner, (*key, index), source) for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def substitute(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name, default)
        if found is None:
            raise ConfigError(
                f"{dotted(key)}: the environment variable {name} is not set",
                where=source.where(key),
                hint=f"export {name}=... or pass -o {dotted(key)}=...",
            )
        return found

    return _VARIABLE.sub(substitute, value)
