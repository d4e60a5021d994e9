"""The key ``taxonomy``: a tree of diseases, cut into the classes that are trained. Knows no torch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dermtl.api import AnnotationError, Array, Category, Record
from dermtl.taxonomy import (
    Partition,
    Taxonomy,
    TrainingClass,
    disease_partition,
    find_node,
    is_descendant,
    read_taxonomy,
)


class TaxonomyConfig(BaseModel):
    """How the classes are cut from a tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tree: Path | dict[str, tuple[str, ...]] = Field(
        description="File with the tree, as nested YAML or CSV of paths; a run stores the tree itself."
    )
    level: int = Field(1, ge=0, description="Deepest level that is evaluated; each class is below one of its nodes.")
    max_class_size: int = Field(
        1000, ge=1, description="A class with this many training records or more is a single node."
    )
    min_class_size: int = Field(0, ge=0, description="Siblings with fewer training records than this share a class.")
    partition: tuple[TrainingClass, ...] | None = Field(
        None, description="Classes and their nodes; training fills them in."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.tree, dict):
            Taxonomy.of(self.tree)  # says what is wrong with it
        if self.min_class_size > self.max_class_size:
            raise ValueError(f"min_class_size {self.min_class_size} is above max_class_size {self.max_class_size}")
        if self.partition is not None and isinstance(self.tree, Path):
            raise ValueError("partition is filled in by training, together with the tree: leave it out")
        return self

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the training classes; None until the tree was cut."""
        return None if self.partition is None else tuple(part.name for part in self.partition)

    def cut(self, records: Sequence[Record], column: str) -> Self:
        """A copy with the tree, and with the classes that the training records give.

        Raises:
            ConfigError: The tree cannot be read.
            AnnotationError: A record's cell is no node of the tree, the tree has no such level, or one class is left.
        """
        tree = self._tree()
        cells = ((text, record.where) for record in records if (text := record.text(column)) is not None)
        found_nodes = Counter(find_node(tree, text, column=column, where=where) for text, where in cells)
        counts = [found_nodes[node] for node in range(len(tree.nodes))]
        sizes = {"max_class_size": self.max_class_size, "min_class_size": self.min_class_size}
        try:
            found = disease_partition(tree, counts, level=self.level, **sizes)
        except ValueError as error:
            raise AnnotationError(f"taxonomy.level: {error}", hint="choose one that the tree has") from error
        if len(found.classes) < 2:
            raise AnnotationError(
                f"column {column!r}: the taxonomy gives {len(found.classes)} classes among {sum(counts)} training "
                "records, expected two or more",
                hint="lower max_class_size, or raise level",
            )
        return self.model_copy(update={"tree": tree.rows, "partition": found.classes})

    def target(self, column: str) -> Category:
        """The kind of annotation, after the tree was cut."""
        return NodeClass(self.classes or (), column, tree=self._tree(), partition=self.partition or ())

    def below(self, names: Sequence[str]) -> tuple[str, ...]:
        """Names of classes: those below each name, or the name itself if it has none below it."""
        return tuple(
            found
            for name in names
            for found in ([part for part in self.classes or () if is_descendant(part, name)] or [name])
        )

    def document(self) -> dict[str, Any]:
        """The partition in plain JSON types."""
        sizes = (self.max_class_size, self.min_class_size, self.level)
        return Partition(self.partition or (), *sizes, self._tree().digest).to_json()

    def _tree(self) -> Taxonomy:
        return read_taxonomy(self.tree) if isinstance(self.tree, Path) else Taxonomy.of(self.tree)


@dataclass(frozen=True, kw_only=True)
class NodeClass(Category):
    """The training class of the node that a record's cell names: by its path, by one of its labels, or by its name.

    Attributes:
        tree: Taxonomy in which nodes are looked up.
        partition: The classes and their nodes.
    """

    tree: Taxonomy
    partition: tuple[TrainingClass, ...]

    def read(self, record: Record) -> Array | None:
        """The class index; an empty cell is no annotation."""
        text = record.text(self.column)
        if text is None:
            return None
        path = self.tree.nodes[find_node(self.tree, text, column=self.column, where=record.where)]
        if path not in self._places:
            raise AnnotationError(
                f"column {self.column!r}: no training record shows {path!r}, so it is in no class of the taxonomy",
                where=record.where,
                hint="leave such records out, or set min_class_size, so that rare siblings share a class",
            )
        return np.asarray(self._places[path], np.int64)

    def core_kind(self) -> Category:
        """The exported kind carries only the class names."""
        return Category(self.classes, self.column)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {node: index for index, part in enumerate(self.partition) for node in part.nodes}
