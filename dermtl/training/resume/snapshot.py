"""The state of a run in one file: progress, weights, their moving average, the optimiser."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dermtl.errors import CheckpointError
from dermtl.model.checkpoint import load_state, save_state
from dermtl.model.network import Network
from dermtl.runs.folder import RunFolder
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.distributed.sharding import shard_optimiser_state
from dermtl.training.loop.loss import Objective
from dermtl.training.optim.ema import WeightEma
from dermtl.training.resume.training_state import TrainingState


class Snapshot:
    """Writes and reads the state of a run; of several processes one writes.

    Args:
        folder: Folder of the run.
        processes: Processes of the run.
        network: Network whose weights are stored.
        objective: Objective whose learned weights are stored.
    """

    def __init__(self, folder: RunFolder, processes: ProcessGroup, network: Network, objective: Objective) -> None:
        self._folder = folder
        self._processes = processes
        self._network = network
        self._objective = objective
        self._optimizer: Any = None
        self._ema: WeightEma | None = None
        self._stored: Mapping[str, Any] = {}

    def restore(self) -> TrainingState:
        """Load the weights and the progress; the optimiser's state is loaded by the next :meth:`attach`.

        Raises:
            CheckpointError: There is no state, or it belongs to another network or version.
        """
        stored = load_state(self._folder.state)
        try:
            self._network.load_state_dict(stored["network"])
            self._objective.load_state_dict(stored["objective"])
            state = TrainingState(**stored["progress"])
            self._stored = {key: stored[key] for key in ("optimizer", "ema", "scaler")}
        except (KeyError, TypeError, RuntimeError) as error:
            message = f"is no state of this run: {str(error).splitlines()[0]}"
            hint = "a run is resumed by the version of dermtl that began it"
            raise CheckpointError(message, where=str(self._folder.state), hint=hint) from error
        if self._processes.rank:
            state.sums, state.counts = {}, {}  # process 0 wrote its own
        return state

    def attach(self, optimizer: Any, ema: WeightEma | None) -> None:
        """Include an optimiser and an average in the state; after :meth:`restore`, first load what was stored of them.

        Args:
            optimizer: Optimiser of the phase, as Fabric set it up.
            ema: Moving average of the weights, if there is one.
        """
        self._optimizer, self._ema = optimizer, ema
        stored, self._stored = self._stored, {}
        if stored.get("optimizer") is not None:
            optimizer.load_state_dict(shard_optimiser_state(stored["optimizer"], optimizer))
        if stored.get("ema") is not None and ema is not None:
            ema.restore(stored["ema"])
        if stored.get("scaler"):
            self._precision.load_state_dict(stored["scaler"])

    def detach(self) -> None:
        """Leave the optimiser and the average, whose phase is over, out of the state."""
        self._optimizer, self._ema = None, None

    def save(self, state: TrainingState) -> None:
        """Write the state of this moment; every process has to call."""
        everything = {
            "progress": asdict(state),
            "network": dict(self._network.state_dict()),
            "objective": dict(self._objective.state_dict()),
            "optimizer": self._optimizer.state_dict() if self._optimizer is not None else None,
            "ema": self._ema.state() if self._ema is not None else None,
            "scaler": self._precision.state_dict(),
        }
        if (full := self._processes.gather_full(everything)) is not None:
            save_state(self._folder.state, full)

    @property
    def _precision(self) -> Any:
        """Fabric's precision plugin, which holds the loss scale of 16-bit training."""
        return self._processes.fabric.strategy.precision
