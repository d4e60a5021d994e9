"""An experiment file as plain data, with the files that it extends, overrides from the command line, and variables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dermtl.config.document import Key, Source, dotted, parse, read
from dermtl.config.extends import with_extended
from dermtl.config.variables import expand
from dermtl.errors import ConfigError

__all__ = ["Key", "Source", "parse_source", "read_source", "read_stored"]


def read_source(path: Path, overrides: Sequence[str] = ()) -> Source:
    """Read a YAML file and what it extends, and apply ``a.b=value`` overrides.

    Raises:
        ConfigError: A file is missing, is not YAML, repeats a key, or an override does not fit.
    """
    return _finished(with_extended(read(path), path.parent, (path.resolve(),)), overrides)


def read_stored(path: Path) -> Source:
    """Read the experiment of a stored run, which may be somebody else's, without any other source.

    A run stores every value written out. ``${NAME}`` is not replaced and ``extends`` is no key, so that a foreign run
    cannot bring this machine's environment or files into a report.

    Raises:
        ConfigError: The file is missing, is not YAML, or repeats a key.
    """
    return read(path)


def parse_source(text: str, *, name: str = "config", overrides: Sequence[str] = ()) -> Source:
    """Parse YAML text like a file ``name`` in the working directory; see :func:`read_source`."""
    return _finished(with_extended(parse(text, name), Path()), overrides)


def _finished(source: Source, overrides: Sequence[str]) -> Source:
    for override in overrides:
        _apply(source, override)
    source.data = expand(source.data, (), source)  # last: an override may replace an unset variable
    return source


def _apply(source: Source, override: str) -> None:
    name, separator, text = override.partition("=")
    if not separator or not name:
        raise ConfigError(f"expected key=value, got {override!r}", where="-o", hint="for example -o training.seed=3")
    key: Key = ()
    target: Any = source.data
    parts = name.split(".")
    for depth, written in enumerate(parts):
        last = depth == len(parts) - 1
        part: str | int = written
        if isinstance(target, list):
            if not written.isdecimal() or int(written) >= len(target):
                got = written if written.isdecimal() else repr(written)
                raise ConfigError(f"{name}: expected an index below {len(target)}, got {got}", where=f"-o {override}")
            part = int(written)
        elif isinstance(target, dict):  # its keys are strings, even digits
            if not last and not isinstance(target.get(part), dict | list):
                target[part] = {}
        else:
            raise ConfigError(f"{name}: {dotted(key)} has no keys of its own", where=f"-o {override}")
        key = (*key, part)
        if last:
            parsed = parse(f"value: {text}", f"-o {override}")
            target[part] = parsed.data["value"]
        else:
            target = target[part]
    source.forget(key)
    source.positions[key] = f"-o {override}"
    source.texts |= {(*key, *below[1:]): written for below, written in parsed.texts.items()}
