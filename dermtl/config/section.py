"""What every part of an experiment file shares."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the experiment: immutable, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
