"""The contract of trackers, entry-point group ``dermtl.trackers``. Knows no tracker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

GROUP = "dermtl.trackers"


@runtime_checkable
class Tracker(Protocol):
    """Receives the progress of a run. The entry point names a class, or a function, that is called without arguments.

    Packages for tracking are imported when the tracker is created, so that a missing one is noticed before training.
    An exception of a call ends the tracking and nothing else. Calls come in the training process, one at a time, and
    training waits for them: a call that hangs stops the run.
    """

    def begin(self, run: Path, name: str, settings: Mapping[str, Any]) -> None:
        """A run begins, or continues after a stop; then the tracked run continues, too.

        Args:
            run: The run's folder; a tracker may store there what it needs after a continuation.
            name: Name of the experiment, which several runs may share.
            settings: The experiment as it runs, nested as in config.yaml.
        """

    def epoch(self, row: Mapping[str, Any]) -> None:
        """An epoch has ended.

        Args:
            row: Row of metrics.csv of the epoch: epoch (from 1, over all stages), stage (from 1), lr, seconds,
                train.loss, and, on validation, val.loss and val.<head>.<metric>. NaN is not estimable. After a
                continuation the last epoch before it comes again, with the same numbers.
        """

    def end(self, state: str) -> None:
        """The run ends, or is interrupted; the files in its folder are written.

        Args:
            state: finished, interrupted or failed.
        """
