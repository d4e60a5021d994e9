"""The decision that readers were asked to make, in columns of predictions.csv: which names count as positive."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import InputError, ManifestError
from dermtl.evaluation.predict.predictions import Cell
from dermtl.plugins.plan import HeadPlan
from dermtl.runtime.decision import Decisions
from dermtl.taxonomy.names import is_descendant

_OUTPUTS = ("probability", "node_probability")


@dataclass(frozen=True)
class ReaderDecision:
    """Which names are positive, and which columns hold their probabilities.

    Attributes:
        head: The head that knows the names.
        positive: Names that count as positive.
        columns: Columns whose sum is the score.
        where: The table, for messages.
    """

    head: str
    positive: tuple[str, ...]
    columns: tuple[str, ...]
    where: str = ""

    @classmethod
    def find(
        cls, header: Collection[str], positive: Sequence[str], head: str | None = None, *, where: str = ""
    ) -> Self:
        """Find the columns of some names.

        Args:
            header: The table's columns.
            positive: Classes, tags or nodes.
            head: The head that is meant; None: the only one that knows them all.
            where: The table, for messages.

        Raises:
            ManifestError: No head knows the names, several do, or one name lies below another.
        """
        if below := [(a, b) for a in positive for b in positive if a != b and is_descendant(a, b)]:
            one, other = below[0]
            raise ManifestError(f"{one!r} lies below {other!r} and would count twice", hint=f"leave {one!r} out")
        heads = dict.fromkeys(column.partition(".")[0] for column in header if "." in column)
        by_head = {}
        for name in [head] if head else heads:
            columns = [_column(header, name, one) for one in dict.fromkeys(positive)]
            if columns and all(columns):
                by_head[name] = tuple(column for column in columns if column)
        if len(by_head) != 1:
            known = [c.split(".", 2)[2] for c in header for out in _OUTPUTS if f".{out}." in c]
            hint = "choose one with --head" if by_head else f"known are {', '.join(known)}"
            who = f"{' and '.join(by_head)} know" if by_head else "no head knows"
            raise ManifestError(f"{who} {', '.join(positive)}", where=where, hint=hint)
        ((name, of_head),) = by_head.items()
        return cls(name, tuple(dict.fromkeys(positive)), of_head, where)

    def scores(self, table: Mapping[str, Sequence[Cell]], rows: Sequence[int]) -> Array:
        """Sums of the probabilities of some rows, float64 [rows]."""
        columns = (np.array([float(table[column][row]) for row in rows]) for column in self.columns)
        return np.asarray(sum(columns))

    def positives(self, table: Mapping[str, Sequence[Cell]], rows: Sequence[int]) -> Array:
        """Whether the truth of some rows is positive, bool [rows].

        Raises:
            ManifestError: A row has no truth.
        """
        classes = table.get(f"{self.head}.truth.class")
        labels = [table.get(f"{self.head}.truth.{name}") for name in self.positive]
        positive = []
        for row in rows:
            if classes is not None and classes[row] != "":
                positive.append(any(is_descendant(str(classes[row]), name) for name in self.positive))
                continue
            cells = ["" if column is None else column[row] for column in labels]
            if "" in cells:
                raise ManifestError(
                    f"image {table['image'][row]!r} has no truth for head {self.head!r}",
                    where=self.where,
                    hint="evaluate with labels",
                )
            positive.append(any(float(cell) > 0 for cell in cells))
        return np.array(positive, bool)


def find_reader_decision(plans: Mapping[str, HeadPlan], frozen: Decisions, positive: Sequence[str]) -> ReaderDecision:
    """The decision that the readers of an evaluation were asked to make.

    Args:
        plans: The heads.
        frozen: The model's decisions.
        positive: Classes, tags or nodes that together are positive; empty takes those of the only frozen decision.

    Raises:
        InputError: Nothing is named, and not exactly one decision is frozen.
        ManifestError: Not exactly one head knows the names.
    """
    head = None
    if not positive:
        if len(frozen.binary) != 1:
            names = ", ".join(decision.name for decision in frozen.binary) or "none"
            raise InputError(
                f"what did the readers call positive? Frozen decisions: {names}",
                where="--readers",
                hint="name it by --positive, which may be repeated",
            )
        (decision,) = frozen.binary
        head, positive = decision.head, decision.positive
    header = [
        f"{output}.{column}"
        for plan in plans.values()
        for output, kind in plan.outputs.items()
        if all(isinstance(extent, int) for extent in kind.shape)
        for column in kind.columns(np.zeros([int(extent) for extent in kind.shape]))
    ]
    return ReaderDecision.find(header, positive, head, where="the model's heads")


def _column(header: Collection[str], head: str, name: str) -> str | None:
    """The column of a name's probability."""
    return next((column for output in _OUTPUTS if (column := f"{head}.{output}.{name}") in header), None)
