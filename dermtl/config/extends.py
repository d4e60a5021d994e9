"""``extends``: an experiment file merged over other files and presets.

Mappings are merged key by key, other values are replaced. Later files override earlier ones, and a file overrides what
it extends.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dermtl.config.document import Key, Source, read
from dermtl.config.variables import expand
from dermtl.errors import ConfigError

PRESETS = Path(__file__).parent / "presets"
_KEY = "extends"


def with_extended(source: Source, folder: Path, chain: tuple[Path, ...] = ()) -> Source:
    """A file merged over what it extends, without the key ``extends``.

    Args:
        source: The file as it was written.
        folder: Folder that its relative paths start at.
        chain: Files that extend one another down to this one, which is the last; to find cycles.

    Raises:
        ConfigError: A file that it extends does not exist, extends it in turn, or is no experiment file.
    """
    merged = Source({}, name=source.name)
    for written, where in _named(source):
        path = _locate(written, folder, where)
        if path.resolve() in chain:
            names = " -> ".join(link.name for link in (*chain, path))
            raise ConfigError(f"extends: goes round in a circle: {names}", where=where, hint="delete one")
        base = with_extended(read(path), path.parent, (*chain, path.resolve()))
        merged = merge(merged, base)
    data = {key: value for key, value in source.data.items() if key != _KEY}
    own = Source(data, source.positions, source.name, source.texts)
    return merge(merged, own)


def merge(base: Source, over: Source) -> Source:
    """``over`` merged over ``base``; every key keeps the position where it was written."""
    merged = Source({}, dict(base.positions), over.name, dict(base.texts))
    merged.data = _merged(base.data, over.data, (), merged)
    merged.positions |= over.positions
    merged.texts |= over.texts
    return merged


def _merged(base: Any, over: Any, key: Key, merged: Source) -> Any:
    """The merged value; what ``over`` replaces under ``key`` loses its positions and texts."""
    if isinstance(base, dict) and isinstance(over, dict):
        both = {name: _merged(base[name], over[name], (*key, name), merged) for name in base if name in over}
        return base | over | both
    merged.forget(key)
    return over


def _named(source: Source) -> Iterator[tuple[str, str]]:
    """Files and presets that the file extends, each with its position in the file."""
    named = expand(source.data.get(_KEY, []), (_KEY,), source)
    listed = named if isinstance(named, list) else [named]
    for index, written in enumerate(listed):
        where = source.where((_KEY, index))
        if not isinstance(written, str) or not written:
            expected = "expected a path, a preset's name or a list of them"
            raise ConfigError(f"extends: {expected}, got {written!r}", where=where)
        yield written, where


def _locate(written: str, folder: Path, where: str) -> Path:
    """Path of a file or preset; a name without folder and ending is a preset's."""
    if "/" not in written and Path(written).suffix not in (".yaml", ".yml"):
        presets = {path.stem: path for path in sorted(PRESETS.glob("*.yaml"))}
        if written not in presets:
            near = get_close_matches(written, presets, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(presets)}; a file ends in .yaml"
            raise ConfigError(f"extends: there is no preset {written!r}", where=where, hint=hint)
        return presets[written]
    path = folder / written
    if not path.is_file():
        hint = f"relative paths start at the folder of the file that names them, {folder.resolve()}"
        raise ConfigError(f"extends: no such file: {path}", where=where, hint=hint)
    return path
