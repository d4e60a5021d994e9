"""What a person sees while training: a bar on a terminal, a line an epoch in any log."""

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from dermtl.config.training import Stage

_log = logging.getLogger(__name__)


class Progress:
    """Shows the position; a context manager.

    Args:
        stages: All stages, as they are run.
        batches: Batches an epoch.
        primary: Head to the name of its primary metric.
        chooses: Whether an epoch is chosen, so that the best so far is worth a mark.
    """

    def __init__(self, stages: Sequence[Stage], batches: int, primary: Mapping[str, str], *, chooses: bool) -> None:
        self._chooses = chooses
        self._stages = stages
        self._primary = [f"val.{head}.{metric}" for head, metric in primary.items()]
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=batches)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, stage: int, epoch: int, batch: int, loss: float | None) -> None:
        """After a batch."""
        text = f"stage {stage + 1}/{len(self._stages)} epoch {epoch + 1}/{self._stages[stage].epochs}"
        if loss is not None:
            text += f" loss {loss:.4f}"
        self._bar.update(self._task, completed=batch, description=text)

    def report(self, row: Mapping[str, Any], stage: int) -> None:
        """After an epoch; ``stage`` counts as in :meth:`advance`."""
        losses = [name for name in row if name in ("train.loss", "val.loss")]
        shown = [f"{name} {row[name]:.4g}" for name in [*losses, *self._primary] if row.get(name) is not None]
        count = f"epoch {row['epoch']} (stage {row['stage']}, {self._stages[stage].train})"
        mark = ", best so far" if row.get("best") and self._chooses else ""
        _log.info("%s: %s, %.1f s%s", count, ", ".join(shown), row["seconds"], mark)
