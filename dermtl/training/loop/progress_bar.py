"""Progress for people: a bar on a terminal, and one log line per epoch."""

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dermtl.config.training import Stage
from dermtl.training.resume.training_state import TrainingState

_log = logging.getLogger(__name__)


class ProgressBar:
    """Shows the progress of a training; a listener and a context manager.

    Args:
        state: Progress of the training, which it updates.
        stages: Keys of each phase.
        num_batches: Number of batches per epoch.
        primary: Head to the name of its primary metric.
        selects: Whether the best epoch is selected, so that the best one so far is marked.
    """

    def __init__(
        self,
        state: TrainingState,
        stages: Sequence[Stage],
        num_batches: int,
        primary: Mapping[str, str],
        *,
        selects: bool,
    ) -> None:
        self._state = state
        self._stages = stages
        self._primary = [f"val.{head}.{metric}" for head, metric in primary.items()]
        self._selects = selects
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=num_batches)

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def on_batch(self, loss: float | None) -> None:
        """Move the bar."""
        state = self._state
        text = f"stage {state.phase + 1}/{len(self._stages)} "
        text += f"epoch {state.epoch + 1}/{self._stages[state.phase].epochs}"
        if loss is not None:
            text += f" loss {loss:.4f}"
        self._bar.update(self._task, completed=state.batch, description=text)

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        """Log losses and primary metrics."""
        losses = [name for name in row if name in ("train.loss", "val.loss")]
        shown = [f"{name} {row[name]:.4g}" for name in [*losses, *self._primary] if row.get(name) is not None]
        epoch = f"epoch {row['epoch']} (stage {row['stage']}, {self._stages[self._state.phase].train})"
        mark = ", best so far" if row.get("best") and self._selects else ""
        _log.info("%s: %s, %.1f s%s", epoch, ", ".join(shown), row["seconds"], mark)
