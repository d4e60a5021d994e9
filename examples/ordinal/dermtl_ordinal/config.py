"""The keys of ``type: ordinal``. Knows no torch."""

from typing import Self

from pydantic import Field, model_validator

from dermtl.api import HeadConfig, Kind
from dermtl_ordinal.kind import Grade


class OrdinalConfig(HeadConfig):
    """One of several levels that have an order."""

    column: str = Field("grade", description="Manifest column with the level's name.")
    levels: tuple[str, ...] = Field(min_length=2, description="Names of the levels, the lowest first.")

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.levels)) < len(self.levels):
            raise ValueError("a level is listed twice")
        return self

    @classmethod
    def example(cls) -> Self:
        """The drawn set's classes, from harmless to not."""
        return cls(column="label", levels=("keratosis", "nevus", "melanoma"))

    def target(self) -> Kind:
        """The level."""
        return Grade(self.levels, self.column)

    def outputs(self) -> dict[str, Kind]:
        """``probability``: one a level."""
        return {"probability": self.target()}
