"""Which records belong together: the same patient, the same lesion, or linked through either. Knows no split."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from dermtl.data.manifest.people import COLUMNS, count_values, id_columns, unused_columns
from dermtl.errors import ManifestError
from dermtl.kinds.record import Record

__all__ = ["COLUMNS", "group_columns", "group_records", "merge_groups", "tell_groups"]

_log = logging.getLogger(__name__)
_CHAINED = 0.05  # a group with more than this share of all pictures is more often a fault of a column than a patient
_CHAINED_NUM = 20


def group_records(records: Sequence[Record], columns: Sequence[str] | None = None) -> list[str]:
    """The group of every record: connected components over equal values in any of the columns.

    A record without a value in any column is a group of its own, named after its picture; other groups are named
    ``column=value`` after their first value in alphabetical order, whatever the order of the rows.

    Args:
        records: The records of one manifest.
        columns: Columns to group by; None for those that :func:`~dermtl.data.manifest.people.id_columns` picks.

    Returns:
        One name a record.

    Raises:
        ManifestError: A column does not exist.

    Source: union-find with path halving, Tarjan and van Leeuwen 1984.
    """
    if not records:
        return []
    columns = group_columns(records, columns)
    parent: dict[str, str] = {}
    firsts = [_link(parent, record, columns) for record in records]
    names: dict[str, str] = {}
    for value in sorted(parent):
        names.setdefault(_root(parent, value), value)
    groups = [
        names[_root(parent, first)] if first is not None else record.image
        for first, record in zip(firsts, records, strict=True)
    ]
    _warn_chained(groups)
    return groups


def merge_groups(groups: Sequence[str], links: Iterable[tuple[int, int]]) -> list[str]:
    """Groups joined wherever two records are linked; a joined group has the first of its names.

    Args:
        groups: One name a record.
        links: Pairs of positions.
    """
    parent = {group: group for group in groups}
    for one, other in links:
        first, second = sorted((_root(parent, groups[one]), _root(parent, groups[other])))
        parent[second] = first
    return [_root(parent, group) for group in groups]


def group_columns(records: Sequence[Record], columns: Sequence[str] | None = None) -> list[str]:
    """The columns that records are grouped by: those named, else those that look like ids.

    Raises:
        ManifestError: A column does not exist.
    """
    if columns is None:
        return id_columns([record.cells for record in records])
    if not records:
        return list(columns)
    record = records[0]
    for column in columns:
        if column not in record.cells:
            hint = f"the columns are {', '.join(record.cells)}"
            raise ManifestError(f"no column {column!r} to group by", where=record.where.rpartition(":")[0], hint=hint)
    return list(columns)


def tell_groups(records: Sequence[Record], columns: Sequence[str] | None = None) -> None:
    """Say what pictures are grouped by, ``grouped by: patient (104)``, and which columns look like it and are not used.

    Raises:
        ManifestError: A column does not exist.
    """
    rows, used = [record.cells for record in records], group_columns(records, columns)
    told = ", ".join(f"{column} ({count_values(rows, column)})" for column in used)
    _log.info("grouped by: %s", told or "nothing, every picture stands for itself (data.group)")
    for column, num in unused_columns(rows, used).items():
        _log.warning(
            "column %r has %d values for %d pictures and looks like ids; data.group: [%s] keeps equal ones on one side",
            *(column, num, len(rows), column),
        )


def _link(parent: dict[str, str], record: Record, columns: Sequence[str]) -> str | None:
    """Join all values of a record; the first of them, or None where it has none."""
    first: str | None = None
    for column in columns:
        value = record.cells[column].strip()
        if not value:
            continue
        node = f"{column}={value}"
        parent.setdefault(node, node)
        if first is None:
            first = node
        else:
            parent[_root(parent, node)] = _root(parent, first)
    return first


def _root(parent: dict[str, str], node: str) -> str:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _warn_chained(groups: Sequence[str]) -> None:
    group, num = Counter(groups).most_common(1)[0]
    if num > max(_CHAINED_NUM, _CHAINED * len(groups)):
        _log.warning("group %s holds %d of %d pictures; does one value stand for 'unknown'?", group, num, len(groups))
