"""The stages of an experiment as the phases that are run one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dermtl.config.training import Stage


@dataclass(frozen=True)
class Phase:
    """A part of the training with one optimiser and one schedule.

    Attributes:
        stage: Keys of the phase; ``train`` is never ``auto``.
        number: Number of the experiment's stage that the phase belongs to, counted from 1.
        role: ``probe``: its best weights are stored for comparison (linear probe: only the heads train);
            ``finetune``: at its end, its best weights are compared with those of the probe; None: no comparison.
    """

    stage: Stage
    number: int
    role: Literal["probe", "finetune"] | None = None


def phases_of(stages: Sequence[Stage]) -> list[Phase]:
    """One phase per stage, two for ``train: auto``: first the heads alone, then everything."""
    phases: list[Phase] = []
    for number, stage in enumerate(stages, 1):
        if stage.train == "auto":
            heads = stage.model_copy(update={"train": "head", "unfreeze_epochs": None})
            phases.append(Phase(heads, number, "probe"))
            phases.append(Phase(stage.model_copy(update={"train": "all"}), number, "finetune"))
        else:
            phases.append(Phase(stage, number))
    return phases
