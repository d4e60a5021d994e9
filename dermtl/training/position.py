"""How far a run has come: everything but tensors that a continuation needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Position:
    """How far training has come.

    Attributes:
        stage: Index of the phase; a stage with ``train: auto`` has two of them.
        epoch: Epochs done in this phase.
        total_epochs: Epochs done in all phases; the key of everything random.
        batch: Batches done in the epoch at hand.
        steps: Optimiser steps in all.
        best: Validation loss of the weights that count as the best.
        mark: Validation loss that patience counts from: the best when it last fell by ``min_delta``.
        stale: Epochs of this phase since then.
        sums: Of the losses of the epoch at hand.
        counts: Rows behind ``sums``.
        history: Rows of metrics.csv.
        rival: Validation loss of the weights that are kept for a comparison.
        choices: What each stage with ``train: auto`` chose, and on what ground.
    """

    stage: int = 0
    epoch: int = 0
    total_epochs: int = 0
    batch: int = 0
    steps: int = 0
    best: float = float("inf")
    mark: float = float("inf")
    stale: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    rival: float = float("inf")
    choices: list[dict[str, Any]] = field(default_factory=list)

    def close_epoch(self, stage: int, found: Mapping[str, float]) -> None:
        """Move to the next epoch; ``found`` is what is known of this one, of the experiment's stage ``stage``."""
        self.total_epochs += 1
        self.history.append({"epoch": self.total_epochs, "stage": stage, **found})
        self.epoch += 1
        self.batch, self.sums, self.counts = 0, {}, {}

    def judge(self, loss: float | None, least: float) -> bool:
        """Whether the weights of the epoch that was closed are the best so far; counts towards patience.

        Args:
            loss: Their validation loss; None where there is nothing to validate on, then the last are the best.
            least: By how much a loss must fall to start patience anew.
        """
        if loss is None:
            return True
        is_best, fell = loss < self.best, loss < self.mark - least
        self.best = min(self.best, loss)
        self.mark, self.stale = (loss, 0) if fell else (self.mark, self.stale + 1)
        return is_best

    def next_stage(self) -> None:
        """Move to the start of the next phase."""
        self.stage, self.epoch, self.stale = self.stage + 1, 0, 0
