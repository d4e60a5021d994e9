"""Probabilities of every node of a tree above the classes."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.kinds.drawing import caption
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record
from dermtl.taxonomy.names import last_part, lineage
from dermtl.taxonomy.node_sums import roll_up


@dataclass(frozen=True)
class Nodes(Kind):
    """An output without annotations. Value: float32 [U]; a node has the sum of the nodes directly below it, the root 1.

    Attributes:
        nodes: Names in the order of the outputs, paths below the root, parents before their children.
    """

    kind: ClassVar[str] = "nodes"
    nodes: tuple[str, ...]

    def read(self, record: Record) -> Array | None:
        """None: the truth of a record is its class."""
        return None

    def perfect_value(self, annotation: Array) -> Array:
        """1 of the true class and of every node above it; the annotation is the class's index.

        The classes are the nodes with nothing below them, in their order.
        """
        inner = {line[-2] for node in self.nodes if len(line := lineage(node)) > 1}
        found = roll_up([node for node in self.nodes if node not in inner])
        return np.array(found.matrix[int(annotation)])

    @property
    def shape(self) -> tuple[int | str, ...]:
        """[U]."""
        return (len(self.nodes),)

    def to_json(self, value: Array) -> dict[str, Any]:
        """Every node's probability."""
        return {"node_probability": self.columns(value)}

    def columns(self, value: Array) -> dict[str, float]:
        """Node to probability."""
        return {name: float(score) for name, score in zip(self.nodes, value, strict=True)}

    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """The path down the tree through the most probable child at each node, as text."""
        scores, here, steps = self.columns(value), self.nodes[0], []
        while below := [name for name in self.nodes if len(line := lineage(name)) > 1 and line[-2] == here]:
            here = max(below, key=scores.__getitem__)
            steps.append(f"{last_part(here)} {scores[here]:.0%}")
        return caption(image, [" > ".join(steps)])
