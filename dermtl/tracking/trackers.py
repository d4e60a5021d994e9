"""Telling several trackers of one run, none of which can harm it.

What a tracker raises is logged once, with its name, and that tracker hears no more of this run. A tracker that hangs
cannot be cured from here: it runs in the training process, and a thread that does not return cannot be ended. Trackers
bound their own waiting.
"""

import logging
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from types import TracebackType
from typing import Any

from dermtl.errors import Interrupted
from dermtl.tracking.tracker import Tracker

_log = logging.getLogger(__name__)


class Trackers:
    """The trackers of one run; a context manager.

    Leaving it ends them: as finished, or as interrupted or failed if an exception is raised.

    Args:
        trackers: Name to tracker; may be empty.
        run: The run's folder.
        name: The experiment's name.
        settings: The experiment as it runs, plain data.
    """

    def __init__(self, trackers: Mapping[str, Tracker], run: Path, name: str, settings: Mapping[str, Any]) -> None:
        self._alive = dict(trackers)
        self._about = (run, name, settings)

    def __enter__(self) -> "Trackers":
        self._tell("begin", *self._about)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("finished" if error is None else "interrupted" if isinstance(error, Interrupted) else "failed")

    def on_batch(self, loss: float | None) -> None:
        """Trackers receive epochs only."""

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        """Pass a row of metrics.csv to every tracker."""
        self._tell("epoch", row)

    def end(self, state: str) -> None:
        """Tell that the run is finished, interrupted or failed; the first word counts."""
        self._tell("end", state)
        self._alive.clear()

    def _tell(self, call: str, *arguments: Any) -> None:
        for name, tracker in list(self._alive.items()):
            try:
                getattr(tracker, call)(*deepcopy(arguments))  # its own copy: it may change what it is given
            except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, the run goes on
                del self._alive[name]
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                _log.warning("tracker %s failed (%s) and is left out from here on: %s", name, call, reason)
