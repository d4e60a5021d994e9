"""The base class of all parts of an experiment file."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the experiment: immutable, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
