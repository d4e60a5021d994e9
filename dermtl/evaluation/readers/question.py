"""A yes or no that is asked of a row of predictions.csv: is it one of these classes, tags, or nodes of the tree."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from dermtl.errors import ManifestError
from dermtl.taxonomy.names import is_descendant

_OUTPUTS = ("probability", "node_probability")


@dataclass(frozen=True)
class Question:
    """Which columns are asked.

    Attributes:
        head: Whose.
        positive: Names that are a yes.
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
        """The question that names ask of a table.

        Args:
            header: The table's columns.
            positive: Classes, tags or nodes.
            head: Whose; default: the only one that knows them all.
            where: The table, for messages.

        Raises:
            ManifestError: No head knows the names, several do, or one name lies below another.
        """
        if below := [
            (one, other) for one in positive for other in positive if one != other and is_descendant(one, other)
        ]:
            one, other = below[0]
            raise ManifestError(f"{one!r} lies below {other!r} and would count twice", hint=f"leave {one!r} out")
        heads = dict.fromkeys(column.partition(".")[0] for column in header if "." in column)
        found = {}
        for name in [head] if head else heads:
            columns = [_column(header, name, one) for one in dict.fromkeys(positive)]
            if columns and all(columns):
                found[name] = tuple(column for column in columns if column)
        if len(found) != 1:
            known = [c.split(".", 2)[2] for c in header for out in _OUTPUTS if f".{out}." in c]
            hint = "choose one with --head" if found else f"known are {', '.join(known)}"
            told = f"{' and '.join(found)} know" if found else "no head knows"
            raise ManifestError(f"{told} {', '.join(positive)}", where=where, hint=hint)
        ((name, columns_found),) = found.items()
        return cls(name, tuple(dict.fromkeys(positive)), columns_found, where)

    def score(self, row: Mapping[str, str]) -> float:
        """The sum of the probabilities."""
        return sum(float(row[column]) for column in self.columns)

    def is_positive(self, row: Mapping[str, str]) -> bool:
        """The truth of a row.

        Raises:
            ManifestError: The row has none.
        """
        own = f"{self.head}.truth.class"
        if row.get(own):
            return any(is_descendant(row[own], name) for name in self.positive)
        cells = [row.get(f"{self.head}.truth.{name}", "") for name in self.positive]
        if not all(cells):
            raise ManifestError(
                f"image {row.get('image')!r} has no truth for head {self.head!r}",
                where=self.where,
                hint="evaluate with labels",
            )
        return any(float(cell) > 0 for cell in cells)


def _column(header: Collection[str], head: str, name: str) -> str | None:
    """The column of a name's probability."""
    return next((column for output in _OUTPUTS if (column := f"{head}.{output}.{name}") in header), None)
