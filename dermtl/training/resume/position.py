"""How far a run has come: everything but tensors that a continuation needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dermtl.tracking.history import best_row


@dataclass
class Position:
    """How far training has come.

    Attributes:
        stage: Index of the phase; a stage with ``train: auto`` has two of them.
        epoch: Epochs done in this phase.
        total_epochs: Epochs done in all phases; the key of everything random.
        batch: Batches done in the epoch at hand.
        steps: Optimiser steps in all.
        best: Score of the best weights, see :func:`~dermtl.training.selection.criterion.score_of`; lower is better.
        mark: Score of this phase when it last improved by ``min_delta``; patience counts from there.
        stale: Epochs of this phase since then.
        sums: Of the losses of the epoch at hand.
        counts: Rows behind ``sums``.
        history: Rows of metrics.csv.
        rival: Score of the weights that ``train: auto`` compares with the best ones.
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
    mark: float = float("inf")
    stale: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    rival: float = float("inf")
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

        The answer is noted in the epoch's row as ``best``, 1 or 0.

        Args:
            score: Score of the epoch, lower is better; None if the last weights are the best.
            watched: Score that early stopping watches; None if nothing was validated.
            least: By how much it must fall to start patience anew.
        """
        if watched is not None:
            fell = watched < self.mark - least
            self.mark, self.stale = (watched, 0) if fell else (self.mark, self.stale + 1)
        is_best = score is None or score < self.best or self.best == float("inf")
        if is_best:
            self.best, self.soup = self.best if score is None else score, []
        self.history[-1]["best"] = int(is_best)
        return is_best

    def next_stage(self) -> None:
        """Move to the start of the next phase, whose patience knows nothing of this one."""
        self.stage, self.epoch, self.stale, self.mark = self.stage + 1, 0, 0, float("inf")
        self.snapshots = []

    def selection(self, by: str) -> dict[str, Any]:
        """Which weights the best ones are, for run.json.

        Args:
            by: ``training.select.by``.
        """
        row = best_row(self.history) or {"epoch": 0}
        loss = self.best if self.soup and by == "val.loss" else row.get("val.loss")
        chosen = {"by": by, "epoch": row["epoch"], **({"soup": self.soup} if self.soup else {})}
        return {"best": chosen, "best_val_loss": None if self.soup and by != "val.loss" else loss}
