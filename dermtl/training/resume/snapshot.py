"""Everything a continuation needs, in one file: position, weights, their running mean, the optimiser."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dermtl.errors import CheckpointError
from dermtl.model.checkpoint import load_state, save_state
from dermtl.model.network import Network
from dermtl.runs.folder import RunFolder
from dermtl.training.distributed.process_group import Processes
from dermtl.training.distributed.sharding import optimiser_rows
from dermtl.training.loop.loss import Objective
from dermtl.training.optim.moving_average import WeightMean
from dermtl.training.resume.position import Position


class Snapshot:
    """Writes and reads a run's state; of several processes one writes.

    Args:
        folder: Of the run.
        processes: Those of the run.
        network: Whose weights are kept.
        objective: Whose learned weights are.
    """

    def __init__(self, folder: RunFolder, processes: Processes, network: Network, objective: Objective) -> None:
        self._folder = folder
        self._processes = processes
        self._network = network
        self._objective = objective
        self._optimizer: Any = None
        self._average: WeightMean | None = None
        self._pending: Mapping[str, Any] = {}

    def restore(self) -> Position:
        """Take up the weights; what belongs to an optimiser waits for :meth:`take_up`.

        Raises:
            CheckpointError: There is nothing to resume from, or it is of another network.
        """
        state = load_state(self._folder.state)
        try:
            self._network.load_state_dict(state["network"])
            self._objective.load_state_dict(state["objective"])
            position = Position(**state["position"])
            self._pending = {key: state[key] for key in ("optimizer", "average", "scaler")}
        except (KeyError, TypeError, RuntimeError) as error:
            message = f"is no state of this run: {str(error).splitlines()[0]}"
            raise CheckpointError(message, where=str(self._folder.state)) from error
        if self._processes.rank:
            position.sums, position.counts = {}, {}  # they are those of the process that wrote
        return position

    def take_up(self, optimizer: Any, average: WeightMean | None) -> None:
        """From now on these belong to the state; they are set to what was restored, where there is anything."""
        self._optimizer, self._average = optimizer, average
        pending, self._pending = self._pending, {}
        if pending.get("optimizer") is not None:
            optimizer.load_state_dict(optimiser_rows(pending["optimizer"], optimizer))
        if pending.get("average") is not None and average is not None:
            average.restore(pending["average"])
        if pending.get("scaler"):
            self._precision.load_state_dict(pending["scaler"])

    def forget(self) -> None:
        """The optimiser and the mean have done their work."""
        self._optimizer, self._average = None, None

    def save(self, position: Position) -> None:
        """Write the state of this moment; every process has to call."""
        state = {
            "position": asdict(position),
            "network": dict(self._network.state_dict()),
            "objective": dict(self._objective.state_dict()),
            "optimizer": self._optimizer.state_dict() if self._optimizer is not None else None,
            "average": self._average.state() if self._average is not None else None,
            "scaler": self._precision.state_dict(),
        }
        if (found := self._processes.whole(state)) is not None:
            save_state(self._folder.state, found)

    @property
    def _precision(self) -> Any:
        """Holds the factor on the loss where numbers are of 16 bits."""
        return self._processes.fabric.strategy.precision
