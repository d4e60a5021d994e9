"""The keys of ``type: number``. Knows no torch."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from dermtl.api import AnnotationError, HeadConfig, Kind, Number, Record


class NumberConfig(HeadConfig):
    """Plain numbers from the pooled features, learned standardised."""

    names: tuple[str, ...] = Field(min_length=1, description="Manifest columns, in the order of the outputs.")
    units: tuple[str, ...] = Field((), description="Unit of each name; empty text: none.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the features that are dropped while training.")
    loss: Literal["quadratic", "smooth_l1"] = Field("quadratic", description="Loss, in standard deviations.")
    mean: tuple[float, ...] | None = Field(
        None, description="Mean of each name, for standardisation; null: that of the training records."
    )
    std: tuple[PositiveFloat, ...] | None = Field(
        None, description="Standard deviation of each name, for standardisation; null: that of the training records."
    )

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if len(set(self.names)) < len(self.names):
            raise ValueError("a name is listed twice")
        for key, values in (("units", self.units or None), ("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != len(self.names):
                raise ValueError(f"{key} has {len(values)} entries, names has {len(self.names)}")
        return self

    @classmethod
    def example(cls) -> Self:
        """Two of the drawn set's numbers."""
        return cls(names=("diameter_mm", "age"), units=("mm", ""))

    def target(self) -> Kind:
        """The numbers."""
        return Number(self.names, self.units)

    def outputs(self) -> dict[str, Kind]:
        """``value`` of each name."""
        return {"value": self.target()}

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with the mean and the standard deviation of the training records; a constant column gets 1.

        Raises:
            AnnotationError: No training record has the numbers, or one cannot be understood.
        """
        if self.mean is not None and self.std is not None:
            return self
        kind = self.target()
        known = [annotation for record in records if (annotation := kind.read(record)) is not None]
        if not known:
            raise AnnotationError(
                f"none of {len(records)} training records has the numbers {', '.join(self.names)}",
                hint="check the head's names, or set its mean and std",
            )
        values = np.asarray(known, np.float64)
        mean = tuple(float(value) for value in values.mean(axis=0))
        std = tuple(
            float(value) if value > 0 else 1.0 for value in np.where(np.ptp(values, axis=0), values.std(axis=0), 0)
        )
        return self.model_copy(update={"mean": self.mean or mean, "std": self.std or std})
