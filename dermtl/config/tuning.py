"""The keys of a search file: what ``dermtl tune`` varies, and by what it judges."""

from typing import Any, Literal

from pydantic import Field, model_validator

from dermtl.config.section import Section


class Range(Section):
    """The values that a key may take: a range, or a list of choices."""

    low: float | None = None
    high: float | None = None
    log: bool = Field(False, description="Draw evenly on a logarithmic scale.")
    integer: bool = Field(False, description="Draw whole numbers.")
    choices: list[Any] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_of_two(self) -> "Range":
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("give low and high, or choices")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low:g} and {self.high:g}")
        if self.log and (self.low is None or self.low <= 0):
            raise ValueError("a logarithmic range begins above 0")
        return self


class Search(Section):
    """A search over an experiment's keys."""

    space: dict[str, Range] = Field(min_length=1, description="Dotted key of the experiment to its values.")
    metric: str = Field("val.loss", description="Column of metrics.csv; its best epoch counts.")
    direction: Literal["minimize", "maximize"] = "minimize"
    trials: int = Field(20, ge=1, description="In all, those of an earlier call and failed ones included.")
    seed: int = 0
    startup: int = Field(5, ge=0, description="Finished trials before a hopeless one is pruned.")
    warmup_epochs: int = Field(2, ge=0, description="Epochs of a trial before it may be pruned.")
