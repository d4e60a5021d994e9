"""The stages of an experiment as the phases that are run one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from dermtl.config.training import Stage


@dataclass(frozen=True)
class Phase:
    """What trains without a break.

    Attributes:
        stage: What, for how long, how fast; ``train`` is never ``auto``.
        number: Of the experiment's stage that it comes from, counted from 1.
        rivals: ``None``; ``first`` where its best weights are to be kept as they are; ``second`` where its own are
            compared with these in the end.
    """

    stage: Stage
    number: int
    rivals: str | None = None


def phases_of(stages: Sequence[Stage]) -> list[Phase]:
    """One phase a stage, two for ``train: auto``: the heads, then everything."""
    found: list[Phase] = []
    for number, stage in enumerate(stages, 1):
        if stage.train == "auto":
            alone = stage.model_copy(update={"train": "head", "unfreeze_epochs": None})
            found.append(Phase(alone, number, "first"))
            found.append(Phase(stage.model_copy(update={"train": "all"}), number, "second"))
        else:
            found.append(Phase(stage, number))
    return found
