"""A tree from a file: nested YAML, or a CSV of paths."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermtl.errors import ConfigError
from dermtl.taxonomy.names import SEPARATOR
from dermtl.taxonomy.tree import Taxonomy, TaxonomyFault

if TYPE_CHECKING:
    from dermtl.config.document import Key

_BETWEEN = "|"
_LABELS = "labels"
_HINT = "a tree is nested YAML (.yaml), or a CSV with the columns path and, where needed, labels"


def read_taxonomy(path: Path) -> Taxonomy:
    """Read a tree.

    YAML nests names; below a leaf stands nothing, or what tables call it: ``melanoma: [mel, MEL]``. What tables call a
    node that has others below it stands under its key ``labels``. A CSV has a column ``path``,
    ``malignant/melanocytic/melanoma``, and may have ``labels``, ``mel|MEL``. The root is not written.

    Raises:
        ConfigError: The file is missing or malformed, a node stands twice, or a label means two nodes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the taxonomy: {error}", where=str(path), hint=_HINT) from error
    if path.suffix.lower() == ".csv":
        places, rows = _from_csv(text, path)
    elif path.suffix.lower() in (".yaml", ".yml"):
        places, rows = _from_yaml(text, path)
    else:
        raise ConfigError(f"expected .yaml or .csv, got {path.suffix!r}", where=str(path), hint=_HINT)
    try:
        return Taxonomy.of(rows)
    except TaxonomyFault as fault:
        raise ConfigError(str(fault), where=places.get(fault.path, str(path)), hint=_HINT) from fault


Rows = tuple[dict[str, str], dict[str, tuple[str, ...]]]


def _from_yaml(text: str, file: Path) -> Rows:
    from dermtl.config.document import parse  # PyYAML, which a deployed model does without

    source = parse(text, str(file))
    places: dict[str, str] = {}
    rows: dict[str, tuple[str, ...]] = {}
    for key, labels in _nodes(source.data, ()):
        odd = next((str(part) for part in key if SEPARATOR in str(part)), None)
        where = source.where(key)
        if odd is not None:
            raise ConfigError(f"a name holds {SEPARATOR!r}: {odd!r}", where=where, hint="nest the names instead")
        path = SEPARATOR.join(map(str, key))
        named = labels if isinstance(labels, list) else [] if labels is None else [labels]
        if not all(isinstance(label, str | int) for label in named):
            raise ConfigError(f"{path!r}: expected labels or nodes, got {labels!r}", where=where, hint=_HINT)
        rows[path] = tuple(map(str, named))
        places[path] = where
    return places, rows


def _nodes(data: Mapping[str, Any], key: "Key") -> "Iterator[tuple[Key, Any]]":
    """Every node's key and labels, parents first."""
    for name, below in data.items():
        if name == _LABELS and key:
            continue
        nests = isinstance(below, Mapping)
        yield (*key, name), below.get(_LABELS) if nests else below
        if nests:
            yield from _nodes(below, (*key, name))


def _from_csv(text: str, path: Path) -> Rows:
    places: dict[str, str] = {}
    rows: dict[str, tuple[str, ...]] = {}
    lines = csv.reader(text.splitlines(), strict=True)
    try:
        header = [cell.strip() for cell in next(lines, [])]
        if "path" not in header or not set(header) <= {"path", "labels"}:
            raise ConfigError(f"expected the columns path and labels, got {header}", where=str(path), hint=_HINT)
        for cells in filter(None, lines):
            where = f"{path}:{lines.line_num}"
            if len(cells) != len(header):
                raise ConfigError(f"expected {len(header)} cells as in the header, got {len(cells)}", where=where)
            row = dict(zip(header, cells, strict=True))
            node = row["path"].strip()
            if node in rows:
                raise ConfigError(f"{node!r} stands already at {places[node]}", where=where, hint="delete one")
            places[node] = where
            rows[node] = tuple(label.strip() for label in row.get("labels", "").split(_BETWEEN) if label.strip())
    except csv.Error as error:
        raise ConfigError(f"is not valid CSV: {error}", where=str(path)) from error
    return places, rows
