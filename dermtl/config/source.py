"""A YAML file with the position of every key, and overrides from the command line.

Scalars follow YAML 1.2: ``1e-3`` is a number, ``no`` and ``12:30`` are strings. ``${NAME}`` and
``${NAME:-default}`` in a string are replaced from the environment.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
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
    return parse_source(text, name=str(path), overrides=overrides)


def parse_source(text: str, *, name: str = "config", overrides: Sequence[str] = ()) -> Source:
    """Parse YAML text; see :func:`read_source`."""
    source = _parse(text, name)
    for override in overrides:
        _apply(source, override)
    source.data = _expand(source.data, (), source)  # last: an override may stand in for an unset variable
    return source


def _parse(text: str, name: str) -> Source:
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
    return value


def _expand(value: Any, key: Key, source: Source) -> Any:
    """Replace variables in every string."""
    if isinstance(value, dict):
        return {name: _expand(inner, (*key, name), source) for name, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, (*key, index), source) for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def substitute(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name, default)
        if found is None:
            raise ConfigError(
                f"{_dotted(key)}: the environment variable {name} is not set",
                where=source.where(key),
                hint=f"export {name}=... or pass -o {_dotted(key)}=...",
            )
        return found

    return _VARIABLE.sub(substitute, value)


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
            target[part] = _parse(f"value: {text}", f"-o {override}").data["value"]
        else:
            target = target[part]
    for known in [known for known in source.positions if known[: len(key)] == key]:
        del source.positions[known]
    source.positions[key] = f"-o {override}"


def _dotted(key: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in key)
