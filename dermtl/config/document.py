"""YAML text as plain data together with the position of every key.

Scalars follow YAML 1.2: ``1e-3`` is a number, ``no`` and ``12:30`` are strings.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dermtl.errors import ConfigError

Key = tuple[str | int, ...]
_MAX_KEYS = 50_000  # nested aliases turn 300 bytes into any number of values


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
    """Plain data with the position of every key.

    Attributes:
        data: Nested dicts and lists.
        positions: ``(key, ...)`` to ``file:line:column``, or to the override that set the key.
        name: Name of the file, for messages.
        texts: ``(key, ...)`` to the text of a number or a truth value, such as ``01``.
    """

    data: dict[str, Any]
    positions: dict[Key, str] = field(default_factory=dict)
    name: str = "config"
    texts: dict[Key, str] = field(default_factory=dict)

    def where(self, key: Sequence[str | int]) -> str:
        """The position of a key; if it has none, that of an override below it or of its nearest parent."""
        path = tuple(key)
        if path and path not in self.positions:
            below = (place for known, place in self.positions.items() if known[: len(path)] == path)
            if place := next(below, ""):
                return place
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, self.name)

    def forget(self, key: Key) -> None:
        """Drop positions and texts of a key and of all keys below it, because its value is replaced."""
        for known in [known for known in self.positions if known[: len(key)] == key]:
            del self.positions[known]
            self.texts.pop(known, None)


def read(path: Path) -> Source:
    """Read a YAML file.

    Raises:
        ConfigError: The file cannot be read, or :func:`parse` refuses its text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the experiment file: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", where=str(path), hint="an experiment is a YAML file") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Source:
    """Parse the YAML text of a file.

    Args:
        text: YAML text.
        name: Name of the file, for messages.

    Raises:
        ConfigError: The text is not YAML, holds no keys at the top, or repeats a key.
    """
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
    if len(source.positions) > _MAX_KEYS:
        raise ConfigError(
            f"holds more than {_MAX_KEYS:,} keys and values once its aliases are written out",
            where=source.name,
            hint="write what an alias (*name) repeats once, or leave it out",
        )
    source.positions.setdefault(key, f"{source.name}:{mark.line + 1}:{mark.column + 1}")
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            here = f"{source.name}:{mark.line + 1}:{mark.column + 1}"
            name = str(_construct(loader, key_node, key, here))
            if name in built:
                raise ConfigError(f"{dotted((*key, name))}: this key stands twice", where=here, hint="delete one")
            source.positions[*key, name] = here
            built[name] = _build(loader, value_node, (*key, name), source)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*key, index), source) for index, item in enumerate(node.value)]
    value = _construct(loader, node, key, source.where(key))
    if isinstance(value, bool | int | float):
        source.texts[key] = node.value
    return value


def _construct(loader: _Loader, node: yaml.Node, key: Key, where: str) -> Any:
    try:
        return loader.construct_object(node)
    except (ValueError, KeyError) as error:  # a tag such as !!int or !!bool on a word
        raise ConfigError(f"{dotted(key)}: {error}", where=where) from error


def dotted(key: Sequence[str | int]) -> str:
    """A key as it is written on the command line."""
    return ".".join(str(part) for part in key)
