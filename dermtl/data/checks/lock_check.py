"""The table and its files against the lock that an import left beside them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dermtl.data.checks.finding import Finding, found
from dermtl.data.checks.rows import Table
from dermtl.data.importers.lock import lock_path, read_lock, sha256
from dermtl.errors import ManifestError
from dermtl.files.prefetch import in_threads
from dermtl.kinds.record import safe_relative_path


def check_lock(manifest: Path, table: Table, absent: Sequence[Finding]) -> Iterator[Finding]:
    """What changed since the import; nothing where the table has no lock.

    Args:
        manifest: The table's file.
        table: Columns and rows of the table.
        absent: What was found already: a missing file is not reported twice.
    """
    if not manifest.is_file():
        return
    try:
        lock = read_lock(manifest)
    except ManifestError as error:
        yield found("lock-unreadable", table.name, f"{lock_path(manifest).name} {error.message}")
        return
    if not lock:
        return
    digests, own = lock.get("files"), lock.get("manifest")
    if not isinstance(digests, dict) or not isinstance(own, dict):
        yield found("lock-unreadable", table.name, f"{lock_path(manifest).name} holds no digests")
        return
    if own.get("sha256") != sha256(manifest):
        yield found("table-changed", table.name, "was edited since it was imported")
    known = {(finding.where, finding.column) for finding in absent}
    named = [one for one in _named(table, digests) if one[:2] not in known]
    now = in_threads(lambda one: _digest(manifest.parent / one[2]), named)
    for (where, column, path), digest in zip(named, now, strict=True):
        if digest is None:
            yield found("missing-file", where, f"{path} was there at the import", column=column)
        elif digest != digests[path]:
            yield found("file-changed", where, f"{path} has other bytes than at the import", column=column)


def _named(table: Table, digests: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Row, column and path of every file that the lock and a cell name."""
    for where, cells in table.rows:
        for column, cell in cells.items():
            path = cell.strip()
            if path in digests and safe_relative_path(path) == path:
                yield where, column, path


def _digest(path: Path) -> str | None:
    """None where the file is missing; whether it can be read is judged where it is opened."""
    try:
        return sha256(path)
    except OSError:
        return None
