"""Cutting a tree into training classes: as fine as the pictures allow, none larger than a cap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from dermtl.taxonomy.names import SUBSET_MARK
from dermtl.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class TrainingClass:
    """Nodes whose pictures are trained as one class.

    Attributes:
        name: Path of the node whose subtree it is; ``<path>::own`` is a node without what is below it, ``<path>::rest``
            (``::rest2``, ...) some of what is directly below a node, with it or without.
        nodes: Paths of its nodes, in the tree's order.
        num_images: Pictures that its nodes carry.
    """

    name: str
    nodes: tuple[str, ...]
    num_images: int


@dataclass(frozen=True)
class Partition:
    """The training classes of a tree, and how they came about.

    Attributes:
        classes: In the tree's order, what a node's ``rest`` holds last; disjoint, and every node with pictures is in
            one of them. Nodes that were cut apart and carry none are in no class.
        max_class_size: The cap: in a class of this many pictures or more, a single node carries them all.
        min_class_size: Siblings with fewer pictures than this share a class.
        level: The deepest level whose nodes no class reaches across.
        tree_digest: SHA-256 of the tree.
    """

    classes: tuple[TrainingClass, ...]
    max_class_size: int
    min_class_size: int
    level: int
    tree_digest: str

    def to_json(self) -> dict[str, Any]:
        """``partition.json``: plain JSON types."""
        return {
            "max_class_size": self.max_class_size,
            "min_class_size": self.min_class_size,
            "level": self.level,
            "tree_sha256": self.tree_digest,
            "num_images": sum(part.num_images for part in self.classes),
            "classes": [
                {"name": part.name, "num_images": part.num_images, "nodes": list(part.nodes)} for part in self.classes
            ],
        }


def disease_partition(
    tree: Taxonomy, counts: Sequence[int], *, max_class_size: int = 1000, min_class_size: int = 0, level: int = 1
) -> Partition:
    """Cut a tree at the highest nodes whose subtrees carry fewer pictures than the cap.

    As published, but without its losses: a node that is too large keeps its own pictures as a class when it is cut,
    and is a class itself if nothing below it carries pictures. Nodes down to ``level`` are always cut, so that sums at
    these levels are sums of whole classes.

    Args:
        tree: The tree.
        counts: Training pictures that each node itself carries, in the order of ``tree.nodes``.
        max_class_size: The cap, above 0; published as 1000.
        min_class_size: Siblings with fewer pictures share a class, which stays below the cap; 0: none do. At most the
            cap.
        level: The deepest level that will be evaluated; 0: none but the root.

    Raises:
        ValueError: A size does not fit, or the tree has no such level.

    Source: Esteva et al. 2017, Dermatologist-level classification of skin cancer, the disease-partitioning algorithm.
    """
    if not 0 <= min_class_size <= max_class_size or max_class_size < 1:
        raise ValueError(f"expected 0 <= min_class_size <= max_class_size, got {min_class_size} and {max_class_size}")
    if not 0 <= level <= max(tree.depths):
        raise ValueError(f"the tree has levels 0 to {max(tree.depths)}, got {level}")
    cut = _Cut(tree, counts, max_class_size, min_class_size, level)
    return Partition(tuple(cut.classes(0)), max_class_size, min_class_size, level, tree.digest)


class _Cut:
    def __init__(self, tree: Taxonomy, counts: Sequence[int], cap: int, floor: int, level: int) -> None:
        self._tree, self._counts, self._cap, self._floor, self._level = tree, counts, cap, floor, level
        self._total = list(counts)
        for node in range(len(counts) - 1, 0, -1):
            self._total[tree.parents[node]] += self._total[node]

    def classes(self, node: int) -> Iterator[TrainingClass]:
        """The classes below a node; none where there are no pictures."""
        tree, below = self._tree, self._tree.children[node]
        if not self._total[node]:
            return
        is_fine = self._total[node] < self._cap or not any(self._total[child] for child in below)
        if (is_fine and tree.depths[node] >= self._level) or not below:
            yield self._whole(node)
            return
        own = TrainingClass(f"{tree.nodes[node]}{SUBSET_MARK}own", (tree.nodes[node],), self._counts[node])
        may_merge = tree.depths[node] >= self._level
        is_small = {child: may_merge and self._total[child] < self._floor for child in below}
        small = [own] if may_merge and 0 < own.num_images < self._floor else []
        small += [self._whole(child) for child in below if is_small[child]]
        if own.num_images and own not in small:
            yield own
        for child in below:
            if not is_small[child]:
                yield from self.classes(child)
        yield from self._merged(node, small)

    def _whole(self, node: int) -> TrainingClass:
        subtree = self._tree.subtree(node)
        return TrainingClass(
            self._tree.nodes[node], tuple(self._tree.nodes[member] for member in subtree), self._total[node]
        )

    def _merged(self, node: int, small: Sequence[TrainingClass]) -> Iterator[TrainingClass]:
        """Small siblings as few classes below the cap; a lone one stays itself."""
        batches: list[list[TrainingClass]] = []
        for part in small:
            if not batches or sum(other.num_images for other in batches[-1]) + part.num_images >= self._cap:
                batches.append([])
            batches[-1].append(part)
        numbers = count(1)
        for batch in batches:
            num_images = sum(part.num_images for part in batch)
            if len(batch) == 1 and num_images:
                yield batch[0]
            elif num_images:
                number = next(numbers)
                name = f"{self._tree.nodes[node]}{SUBSET_MARK}rest{number if number > 1 else ''}"
                yield TrainingClass(name, tuple(path for part in batch for path in part.nodes), num_images)
