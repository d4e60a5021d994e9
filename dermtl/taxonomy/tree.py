"""A tree of diseases, as plain tuples."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dermtl.taxonomy.names import ROOT, SEPARATOR, SUBSET_MARK, last_part


class TaxonomyFault(ValueError):
    """What is wrong with one node of a tree that somebody wrote.

    Attributes:
        path: Path of the node, as it was given.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path!r}: {problem}")
        self.path = path


@dataclass(frozen=True)
class Taxonomy:
    """Nodes in preorder: a subtree is a range of positions. Made by :meth:`of`.

    Attributes:
        nodes: Paths below the root; the first is the root itself, ``root``.
        parents: Position of each node's parent; -1 for the root.
        labels: What tables call each node, beside its path and its own name.
    """

    nodes: tuple[str, ...]
    parents: tuple[int, ...]
    labels: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[str]]) -> "Taxonomy":
        """The tree of some paths; their ancestors are made where they are not listed.

        Args:
            rows: Path below the root, ``malignant/melanocytic/melanoma``, to its labels in tables.

        Raises:
            TaxonomyFault: A path or a label cannot be used.
        """
        labels: dict[str, tuple[str, ...]] = {}
        children: dict[str, list[str]] = {ROOT: []}
        for path, named in rows.items():
            parent = ROOT
            for node in _prefixes(path):
                if node not in children:
                    children[node] = []
                    children[parent].append(node)
                parent = node
            labels[parent] = labels.get(parent, ()) + tuple(named)
        if len(children) < 3:
            raise TaxonomyFault(next(iter(rows), ""), "a tree needs two nodes or more")
        nodes: list[str] = []
        parents: list[int] = []
        stack = [(ROOT, -1)]
        while stack:
            node, parent_index = stack.pop()
            stack += [(child, len(nodes)) for child in reversed(children[node])]
            nodes.append(node)
            parents.append(parent_index)
        tree = cls(tuple(nodes), tuple(parents), tuple(labels.get(node, ()) for node in nodes))
        tree._check_labels()
        return tree

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Depth of each node; 0 for the root."""
        found: list[int] = []
        for parent in self.parents:
            found.append(0 if parent < 0 else found[parent] + 1)
        return tuple(found)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Positions of each node's children."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                found[parent].append(node)
        return tuple(map(tuple, found))

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The position after each node's subtree, which begins at the node."""
        found = list(range(1, len(self.nodes) + 1))
        for node in range(len(self.nodes) - 1, 0, -1):
            parent = self.parents[node]
            found[parent] = max(found[parent], found[node])
        return tuple(found)

    def subtree(self, node: int) -> range:
        """The node and everything below it."""
        return range(node, self.ends[node])

    def find(self, text: str) -> tuple[int, ...]:
        """The nodes that a table's cell means: by path, else by label, else by a node's own name.

        Returns:
            Positions: one where it is clear, several where a name stands at several places, none where it is unknown.
        """
        return self._known.get(text, ())

    @property
    def names(self) -> list[str]:
        """Everything that a table may write, for messages."""
        return list(self._known)

    @property
    def rows(self) -> dict[str, tuple[str, ...]]:
        """What :meth:`of` makes the same tree of: every node but the root."""
        return dict(zip(self.nodes[1:], self.labels[1:], strict=True))

    @property
    def digest(self) -> str:
        """SHA-256 of nodes and labels."""
        return hashlib.sha256(json.dumps([self.nodes, self.labels]).encode()).hexdigest()

    @cached_property
    def _known(self) -> dict[str, tuple[int, ...]]:
        known: dict[str, tuple[int, ...]] = {}
        for node, path in enumerate(self.nodes[1:], 1):
            name = last_part(path)
            known[name] = (*known.get(name, ()), node)
        known |= {label: (node,) for node, labels in enumerate(self.labels) for label in labels}
        return known | {path: (node,) for node, path in enumerate(self.nodes[1:], 1)}

    def _check_labels(self) -> None:
        """A label must mean one node."""
        owners: dict[str, set[str]] = {}
        for path in self.nodes[1:]:
            for name in {path, last_part(path)}:
                owners.setdefault(name, set()).add(path)
        for path, labels in zip(self.nodes, self.labels, strict=True):
            for label in labels:
                if others := owners.setdefault(label, {path}) - {path}:
                    raise TaxonomyFault(path, f"its label {label!r} means {min(others)!r} already")


def _prefixes(path: str) -> Iterator[str]:
    """``a``, ``a/b``, ``a/b/c``: the node and its ancestors, from the top."""
    parts = path.split(SEPARATOR)
    for depth, part in enumerate(parts):
        if not part or part != part.strip():
            raise TaxonomyFault(path, "a name is empty, or begins or ends with a blank")
        if SUBSET_MARK in part:
            raise TaxonomyFault(path, f"a name holds {SUBSET_MARK!r}, which names parts of a node")
        if depth == 0 and part == ROOT:
            raise TaxonomyFault(path, "the root has no name of its own: begin with the nodes below it")
        yield SEPARATOR.join(parts[: depth + 1])
