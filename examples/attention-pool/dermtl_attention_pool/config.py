"""The keys of ``type: attention_pool``. Knows no torch."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from dermtl.api import AnnotationError, Category, HeadConfig, Kind, Record


class AttentionPoolConfig(HeadConfig):
    """One of several classes, from what attention finds on the feature map."""

    column: str = Field("label", description="Manifest column with the class's name.")
    classes: tuple[str, ...] = Field((), description="Names of the classes; empty: those of the training records.")
    queries: int = Field(2, ge=1, description="How many places can be looked at, one mean each.")

    def target(self) -> Kind:
        """The class's index."""
        return Category(self.classes, self.column)

    def outputs(self) -> dict[str, Kind]:
        """``probability``: one a class."""
        return {"probability": self.target()}

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with the classes of the training records.

        Raises:
            AnnotationError: There are fewer than two.
        """
        if self.classes:
            return self
        found = sorted({text for record in records if (text := record.text(self.column)) is not None})
        if len(found) < 2:
            raise AnnotationError(f"column {self.column!r}: expected two or more classes, got {len(found)}")
        return self.model_copy(update={"classes": tuple(found)})
