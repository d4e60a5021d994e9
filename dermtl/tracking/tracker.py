"""What a tracker is: the contract of entry-point group ``dermtl.trackers``. Knows no tracker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

GROUP = "dermtl.trackers"


@runtime_checkable
class Tracker(Protocol):
    """Is told how a run goes. The entry point names a class, or a function, that is called without arguments.

    What only tracking needs is imported when the tracker is made, so that a missing package is found before anything
    is trained. Whatever a call raises ends the tracking and nothing else. Calls come in the training process, one at a
    time, and training waits for them: one that hangs holds up the run.
    """

    def begin(self, run: Path, name: str, settings: Mapping[str, Any]) -> None:
        """A run begins, or goes on after it was stopped: the same tracked run then goes on, too.

        Args:
            run: The run's folder; what must be found again on a continuation may be kept there.
            name: The experiment's name, which several runs may share.
            settings: The experiment as it runs, nested as in config.yaml.
        """

    def epoch(self, row: Mapping[str, Any]) -> None:
        """An epoch is done.

        Args:
            row: As in metrics.csv: epoch (from 1, over all stages), stage (from 1), lr, seconds, train.loss, and on
                validation val.loss and val.<head>.<metric>. NaN is not estimable. After a continuation the last epoch
                of before is told again, with the same figures.
        """

    def end(self, state: str) -> None:
        """The run ends, for now or for good; the files in its folder are written.

        Args:
            state: finished, interrupted or failed.
        """
