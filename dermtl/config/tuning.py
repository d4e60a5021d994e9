"""The keys of a search file: what ``dermtl tune`` varies, and the metric that it optimises."""

from typing import Any, Literal

from pydantic import Field, model_validator

from dermtl.config.section import Section


class Range(Section):
    """Values of a key in a search: a range, or a list of choices."""

    low: float | None = Field(None, description="Lowest value of the range.")
    high: float | None = Field(None, description="Highest value of the range.")
    log: bool = Field(False, description="Draw uniformly on a logarithmic scale.")
    integer: bool = Field(False, description="Draw integers.")
    choices: list[Any] | None = Field(None, min_length=1, description="Values to choose from, in place of a range.")

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
    metric: str = Field("val.loss", description="Column of metrics.csv to optimise; the best epoch of a trial counts.")
    direction: Literal["minimize", "maximize"] = Field(
        "minimize", description="Whether the metric is minimised or maximised."
    )
    trials: int = Field(20, ge=1, description="Number of trials, including failed ones and those of earlier calls.")
    seed: int = Field(0, description="Seed of the search.")
    startup: int = Field(5, ge=0, description="Number of finished trials before trials are pruned.")
    warmup_epochs: int = Field(2, ge=0, description="Number of epochs before a trial may be pruned.")
