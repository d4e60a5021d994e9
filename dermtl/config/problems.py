"""What pydantic found wrong, in words, each problem at its line and column."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from dermtl.config.source import Key, Source
from dermtl.errors import ConfigError


def describe(problem: Mapping[str, Any], known: Sequence[str]) -> str:
    """One pydantic problem in words, with the nearest valid key for an unknown one."""
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        return "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}")
    if problem["type"] == "missing":
        return "this key is required"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}, got {problem['input']!r}"


def problems(
    source: Source, prefix: Key, errors: Sequence[Mapping[str, Any]], known: Mapping[Key, list[str]]
) -> ConfigError:
    """All problems of one validation as one error, a line each, every line located."""

    def lines() -> Iterator[str]:
        for problem in errors:
            key = (*prefix, *(part for part in problem["loc"] if not str(part).startswith("function-")))
            yield f"{source.where(key)}: {'.'.join(map(str, key))}: {describe(problem, known.get(key[:-1], []))}"

    return ConfigError("\n".join(lines()))
