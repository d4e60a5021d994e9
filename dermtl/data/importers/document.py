"""JSON files of a source: a cheap look at the keys, and reading with the file named in every fault."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dermtl.data.importers.layout import files_of
from dermtl.errors import ManifestError

_PEEK_BYTES = 1 << 16


def documents(source: Path, keys: Iterable[str], *, depth: int = 2) -> list[Path]:
    """The JSON files of a source in whose first or last 64 KiB all of these keys stand.

    Args:
        source: A JSON file, or a folder to look into.
        keys: Keys of an object, at any level.
        depth: Levels of folders to look into.
    """
    files = [source] if source.is_file() else files_of(source, {".json"}, depth)
    marks = [re.compile(rf'"{re.escape(key)}"\s*:'.encode()) for key in keys]
    return [
        path
        for path in files
        if path.suffix.lower() == ".json"
        and not path.name.endswith(".lock.json")
        and all(mark.search(_peek(path)) for mark in marks)
    ]


def read_document(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ManifestError: The file cannot be read, or holds something else than an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(f"is not readable JSON: {error}", where=str(path)) from error
    if not isinstance(content, dict):
        raise ManifestError(f"expected an object, got {type(content).__name__}", where=str(path))
    return content


def entries(content: Any, key: str, where: str) -> list[dict[str, Any]]:
    """A list of objects under a key; empty where the key is missing.

    Raises:
        ManifestError: The key holds something else than a list of objects.
    """
    found = content.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ManifestError(f"{key!r}: expected a list of objects", where=where)
    return found


def plain(value: Any) -> str:
    """A JSON value as a cell: text and numbers as they are, null empty, everything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value, ensure_ascii=False)


def _peek(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_PEEK_BYTES)
            size = file.seek(0, 2)
            file.seek(max(len(head), size - _PEEK_BYTES))
            return head + file.read()
    except OSError:
        return b""
