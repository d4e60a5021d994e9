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
        best: What is minimised (see :func:`~dermtl.training.selection.score_of`), of the best weights.
        best_epoch: Their epoch, counted over all phases; 0 before there are any.
        mark: What patience counts from: the best of this phase when it last improved by ``min_delta``.
        stale: Epochs of this phase since then.
        sums: Of the losses of the epoch at hand.
        counts: Rows behind ``sums``.
        history: Rows of metrics.csv.
        rival: As ``best``, of the weights that wait for a comparison.
        rival_epoch: Their epoch.
        choices: What each stage with ``train: auto`` chose, and on what ground.
        snapshots: Epochs of this phase whose weights may go into a soup, each with its score; the best first.
        soup: Epochs whose mean the best weights are; empty if they are of one epoch.
    """

    stage: int = 0
    epoch: int = 0
    total_epochs: int = 0
    batch: int = 0
    steps: int = 0
    best: float = float("inf")
    best_epoch: int = 0
    mark: float = float("inf")
    stale: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    rival: float = float("inf")
    rival_epoch: int = 0
    choices: list[dict[str, Any]] = field(default_factory=list)
    snapshots: list[tuple[float, int]] = field(default_factory=list)
    soup: list[int] = field(default_factory=list)

    def close_epoch(self, stage: int, found: Mapping[str, float]) -> None:
        """Move to the next epoch; ``found`` is what is known of this one, of the experiment's stage ``stage``."""
        self.total_epochs += 1
        self.history.append({"epoch": self.total_epochs, "stage": stage, **found})
        self.epoch += 1
        self.batch, self.sums, self.counts = 0, {}, {}

    def judge(self, score: float | None, watched: float | None, least: float) -> bool:
        """Whether the weights of the epoch that was closed are the best so far; counts towards patience.

        Args:
            score: What is minimised; None if the last weights are the best.
            watched: What patience watches; None if nothing was validated.
            least: By how much it must fall to start patience anew.
        """
        if watched is not None:
            fell = watched < self.mark - least
            self.mark, self.stale = (watched, 0) if fell else (self.mark, self.stale + 1)
        if score is None or score < self.best or not self.best_epoch:
            self.best = self.best if score is None else score
            self.best_epoch, self.soup = self.total_epochs, []
            return True
        return False

    def next_stage(self) -> None:
        """Move to the start of the next phase, whose patience knows nothing of this one."""
        self.stage, self.epoch, self.stale, self.mark = self.stage + 1, 0, 0, float("inf")
        self.snapshots = []

    def selection(self, by: str) -> dict[str, Any]:
        """Which weights the best ones are, for run.json.

        Args:
            by: ``training.select.by``.
        """
        row = next((row for row in self.history if row["epoch"] == self.best_epoch), {})
        loss = self.best if self.soup and by == "val.loss" else row.get("val.loss")
        chosen = {"by": by, "epoch": self.best_epoch, **({"soup": self.soup} if self.soup else {})}
        return {"best": chosen, "best_val_loss": None if self.soup and by != "val.loss" else loss}
