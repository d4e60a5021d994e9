"""What a training reports while it runs, and to whom: the progress bar, trackers, a search."""

from collections.abc import Mapping
from typing import Any, Protocol


class Listener(Protocol):
    """Receives the progress of a training."""

    def on_batch(self, loss: float | None) -> None:
        """A batch has ended.

        Args:
            loss: Mean loss of the epoch so far; None if no record had a target yet.
        """

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        """An epoch has ended and its state is stored; an exception that this raises ends the training.

        Args:
            row: Row of metrics.csv.
        """
