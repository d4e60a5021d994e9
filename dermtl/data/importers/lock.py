"""``<manifest>.lock.json``: where a manifest came from, and the digest of it and of every file it names.

It also tells a manifest that an import wrote from one that somebody made or edited, which is never overwritten.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermtl.errors import ManifestError
from dermtl.files.atomic import write_atomic

VERSION = 1


def lock_path(manifest: Path) -> Path:
    """The lock's file beside a manifest."""
    return manifest.with_name(f"{manifest.stem}.lock.json")


def write_lock(manifest: Path, origin: Mapping[str, Any], files: Mapping[str, str]) -> Path:
    """Write the lock of a manifest that stands.

    Args:
        manifest: The table.
        origin: Format, source, number of rows and the like, in plain JSON types.
        files: Path as in the manifest to sha256.

    Raises:
        DataError: The lock cannot be written.
    """
    path = lock_path(manifest)
    table = {"name": manifest.name, "sha256": sha256(manifest)}
    content = {"lock": VERSION, **origin, "manifest": table, "files": dict(sorted(files.items()))}
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def read_lock(manifest: Path) -> dict[str, Any]:
    """The lock of a manifest; empty where there is none.

    Raises:
        ManifestError: The file is no lock of this version.
    """
    path = lock_path(manifest)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ManifestError(f"is not a lock file: {error}", where=str(path), hint="delete it") from error
    if not isinstance(content, dict) or content.get("lock") != VERSION:
        raise ManifestError("is not a lock file of this version", where=str(path), hint="delete it")
    return content


def is_imported(manifest: Path) -> bool:
    """Whether an import wrote this table."""
    try:
        return bool(read_lock(manifest))
    except ManifestError:
        return False


def refuse_overwriting(manifest: Path) -> None:
    """Let an import replace only what an import wrote.

    Raises:
        ManifestError: The table exists and was made by somebody else, or was edited.
    """
    if not manifest.exists():
        return
    lock = read_lock(manifest)
    hint = "name another file with --out, or move this one away"
    if not lock:
        raise ManifestError("exists and was not written by an import", where=str(manifest), hint=hint)
    if lock.get("manifest", {}).get("sha256") != sha256(manifest):
        raise ManifestError("was edited since it was imported", where=str(manifest), hint=hint)


def sha256(path: Path) -> str:
    """Digest of a file in hexadecimal.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
