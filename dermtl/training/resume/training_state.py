"""How far a training has come: everything but tensors that a resumed run needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dermtl.tracking.history import best_row


@dataclass
class TrainingState:
    """How far a training has come.

    Attributes:
        phase: Index of the current phase; a stage with ``train: auto`` has two phases.
        epoch: Finished epochs of this phase.
        total_epochs: Finished epochs of all phases; seeds everything random in an epoch.
        batch: Finished batches of the current epoch.
        steps: Optimiser steps of all phases.
        best: Score of the best weights, see :func:`~dermtl.training.selection.criterion.score_of`; lower is better.
        patience_loss: Score of this phase when it last improved by ``min_delta``.
        epochs_without_improvement: Epochs of this phase since then.
        sums: Numerators of the current epoch's mean losses.
        counts: Denominators of the current epoch's mean losses.
        history: Rows of metrics.csv.
        probe_loss: Score of the probe's best weights, with which ``train: auto`` compares the fine-tuned ones.
        choices: Result and grounds of each comparison that ``train: auto`` made.
        snapshots: Score and epoch of the weights of this phase that a soup may use; the best first.
        soup: Epochs whose mean the best weights are; empty if they are of one epoch.
    """

    phase: int = 0
    epoch: int = 0
    total_epochs: int = 0
    batch: int = 0
    steps: int = 0
    best: float = float("inf")
    patience_loss: float = float("inf")
    epochs_without_improvement: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    probe_loss: float = float("inf")
    choices: list[dict[str, Any]] = field(default_factory=list)
    snapshots: list[tuple[float, int]] = field(default_factory=list)
    soup: list[int] = field(default_factory=list)

    def close_epoch(self, stage: int, row: Mapping[str, float]) -> None:
        """Move to the next epoch.

        Args:
            stage: Number of the experiment's stage, counted from 1.
            row: Losses, metrics and the like of the epoch that ends.
        """
        self.total_epochs += 1
        self.history.append({"epoch": self.total_epochs, "stage": stage, **row})
        self.epoch += 1
        self.batch, self.sums, self.counts = 0, {}, {}

    def update_best(self, score: float | None, patience_score: float | None, min_delta: float) -> bool:
        """Whether the weights of the last epoch are the best so far; also counts epochs for early stopping.

        The answer becomes the column ``best``, 1 or 0, of the epoch's row.

        Args:
            score: Score of the epoch, lower is better; None if the last weights are the best.
            patience_score: Score that early stopping monitors; None if there was no validation.
            min_delta: Smallest decrease that counts as an improvement for early stopping.
        """
        if patience_score is not None:
            if patience_score < self.patience_loss - min_delta:
                self.patience_loss, self.epochs_without_improvement = patience_score, 0
            else:
                self.epochs_without_improvement += 1
        is_best = score is None or score < self.best or self.best == float("inf")
        if is_best:
            self.best, self.soup = self.best if score is None else score, []
        self.history[-1]["best"] = int(is_best)
        return is_best

    def next_phase(self) -> None:
        """Move to the start of the next phase, for which early stopping counts anew."""
        self.phase, self.epoch = self.phase + 1, 0
        self.patience_loss, self.epochs_without_improvement = float("inf"), 0
        self.snapshots = []

    def best_epoch(self, by: str) -> dict[str, Any]:
        """Which weights the best ones are, for run.json.

        Args:
            by: ``training.select.by``.
        """
        row = best_row(self.history) or {"epoch": 0}
        loss = self.best if self.soup and by == "val.loss" else row.get("val.loss")
        chosen = {"by": by, "epoch": row["epoch"], **({"soup": self.soup} if self.soup else {})}
        return {"best": chosen, "best_val_loss": None if self.soup and by != "val.loss" else loss}
