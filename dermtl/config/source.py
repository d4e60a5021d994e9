"""A YAML file with the position of every key, and overrides from the command line.

Scalars follow YAML 1.2: ``1e-3`` is a number, ``no`` and ``12:30`` are strings. ``${NAME}`` and
``${NAME:-default}`` in a string are replaced from the environment.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from dermtl.errors import ConfigError

Key = tuple[str | int, ...]
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first, ""])
_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(re.sub(r"\.(?=[inIN])", "", node.value)))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))


@dataclass
class Source:
    """Plain data together with where each key was written.

    Attributes:
        data: Nested dicts and lists.
        positions: ``(key, ...)`` to ``file:line:column``, or to the override that set it.
        name: The file's name, for messages.
    """

    data: dict[str, Any]
    positions: dict[Key, str] = field(default_factory=dict)
    name: str = "config"

    def where(self, key: Sequence[str | int]) -> str:
        """The position of a key, or of its nearest written parent."""
        path = tuple(key)
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, self.name)


def read_source(path: Path, overrides: Sequence[str] = ()) -> Source:
    """Read a YAML file and apply ``a.b=value`` overrides.

    Raises:
        ConfigError: The file is missing, is not YAML, repeats a key, or an override does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the experiment file: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", where=str(path), hint="an experiment is a YAML file") from error
    source = parse_source(text, name=str(path))
    for override in overrides:
        _apply(source, override)
    return source


def parse_source(text: str, *, name: str = "config") -> Source:
    """Parse YAML text; see :func:`read_source`."""
    source = Source({}, name=name)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = _build(loader, node, (), source) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ConfigError(f"is not valid YAML: {error.problem}", where=where) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"is not valid YAML: {error}", where=name) from error
    except RecursionError as error:
        raise ConfigError("nests too deeply, or an alias holds itself", where=name) from error
    if not isinstance(data, dict):
        raise ConfigError(f"expected keys and values at the top, got {type(data).__name__}", where=name)
    source.data = data
    return source


def _build(loader: _Loader, node: yaml.Node, key: Key, source: Source) -> Any:
    mark = node.start_mark
    source.positions.setdefault(key, f"{source.name}:{mark.line + 1}:{mark.column + 1}")
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = str(loader.construct_object(key_node))
            mark = key_node.start_mark
            here = f"{source.name}:{mark.line + 1}:{mark.column + 1}"
            if name in built:
                raise ConfigError(f"{_dotted((*key, name))}: this key stands twice", where=here, hint="delete one")
            source.positions[*key, name] = here
            built[name] = _build(loader, value_node, (*key, name), source)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*key, index), source) for index, item in enumerate(node.value)]
    try:
        value = loader.construct_object(node)
    except ValueError as error:  # a tag such as !!int on what is none
        raise ConfigError(f"{_dotted(key)}: {error}", where=source.where(key)) from error
    return _expand(value, source.where(key), key) if isinstance(value, str) else value


def _expand(text: str, where: str, key: Key) -> str:
    def substitute(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        value = os.environ.get(name, default)
        if value is None:
            raise ConfigError(
                f"{_dotted(key)}: the environment variable {name} is not set",
                where=where,
                hint=f"export {name}=... or pass -o {_dotted(key)}=...",
            )
        return value

    return _VARIABLE.sub(substitute, text)


def _apply(source: Source, override: str) -> None:
    dotted, separator, text = override.partition("=")
    if not separator or not dotted:
        raise ConfigError(f"expected key=value, got {override!r}", where="-o", hint="for example -o training.seed=3")
    key: Key = tuple(int(part) if part.isdecimal() else part for part in dotted.split("."))
    target: Any = source.data
    for depth, part in enumerate(key):
        last = depth == len(key) - 1
        if isinstance(target, list):
            if not isinstance(part, int) or part >= len(target):
                raise ConfigError(
                    f"{dotted}: expected an index below {len(target)}, got {part!r}", where=f"-o {override}"
                )
        elif isinstance(target, dict):
            part = str(part)
            if not last and not isinstance(target.get(part), dict | list):
                target[part] = {}
        else:
            raise ConfigError(f"{dotted}: {_dotted(key[:depth])} has no keys of its own", where=f"-o {override}")
        if last:
            target[part] = parse_source(f"value: {text}", name=f"-o {override}").data["value"]
        else:
            target = target[part]
    for known in [known for known in source.positions if known[: len(key)] == key]:
        del source.positions[known]
    source.positions[key] = f"-o {override}"


def _dotted(key: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in key)


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
            yield f"{source.where(key)}: {_dotted(key)}: {describe(problem, known.get(key[:-1], []))}"

    return ConfigError("\n".join(lines()))
