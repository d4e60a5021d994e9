"""One training over several processes and machines, as ``torchrun`` starts them, on Lightning Fabric.

Every process takes its share of each batch, so the batch size, and with it the meaning of every rate, stays what the
experiment says. Sums are made over all processes before anything is divided, so that a head which few records have a
truth for is weighed as one process would weigh it.
"""

import logging
import os
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy

from dermtl.config.training import Training
from dermtl.errors import ConfigError
from dermtl.model.network import Network
from dermtl.training.data.dataset import Batch
from dermtl.training.distributed.sharding import in_step, refuse_unsharable, shard, whole

_log = logging.getLogger(__name__)


class Processes:
    """The processes of this run, mostly one.

    Args:
        training: Says the accelerator, the precision and the batch size.

    Attributes:
        fabric: Lightning Fabric.
        num: Number of processes.
        rank: Which of them this is; 0 writes.
        sharded: Whether each of them keeps a part of the weights, see :mod:`~dermtl.training.distributed.sharding`.

    Raises:
        ConfigError: The accelerator or the precision cannot be used, a batch is smaller than the processes are many,
            or something does not go with sharding.
    """

    def __init__(self, training: Training) -> None:
        self.num = int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_WORLD_SIZE", self.num))
        self.sharded = training.shard and self.num > 1
        # A batch may lack every record that one of the heads could learn from.
        strategy: Any = DDPStrategy(find_unused_parameters=True)
        if self.sharded:
            refuse_unsharable(training)
            strategy = ModelParallelStrategy(_as_it_is, data_parallel_size=self.num, tensor_parallel_size=1)
        several: dict[str, Any] = {"devices": local, "num_nodes": self.num // local, "strategy": strategy}
        chosen = several if self.num > 1 else {"devices": 1}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*fp16 is not supported on CPU")  # it is refused below
                self.fabric = Fabric(accelerator=training.accelerator, precision=training.precision, **chosen)
        except (RuntimeError, ValueError) as error:  # a name it does not know, or a device that is not there
            asked = f"{training.accelerator!r} with precision {training.precision!r}"
            reason = " ".join(str(error).split())
            raise ConfigError(f"training.accelerator: {asked} cannot be used: {reason}") from error
        if self.fabric.strategy.precision.precision != training.precision:
            raise ConfigError(
                f"training.precision: {training.precision} needs a GPU", hint="bf16-mixed or 32-true do without"
            )
        if training.batch_size < self.num:
            raise ConfigError(
                f"training.batch_size: {training.batch_size} records cannot be shared by {self.num} processes",
                hint="the batch size counts the records of all processes",
            )
        self.fabric.launch()
        self.rank = int(self.fabric.global_rank)
        if self.rank:
            logging.getLogger("dermtl").setLevel(logging.WARNING)
        if self.num > 1:
            share = training.batch_size / self.num
            _log.info("%d processes, %g records each of a batch; the rates are used as they stand", self.num, share)
        elif training.shard:
            _log.info("training.shard: one process has nobody to share with")

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return torch.device(self.fabric.device)

    def place(self, network: Network) -> Network:
        """The network where this process computes; of a sharded one, this process's rows.

        Raises:
            ConfigError: It cannot be shared out.
        """
        if not self.sharded:
            return network.to(self.device)
        shard(network, self.fabric.strategy.device_mesh["data_parallel"])
        return network

    def in_step(self, batches: Iterable[Batch], network: Network, num: int) -> Iterable[Batch]:
        """Batches for a pass without gradients, of which other processes may have up to ``num``."""
        return in_step(batches, network, num) if self.num > 1 else batches

    def whole(self, state: Any) -> Any:
        """Mappings and lists with whole tensors in the host's memory, None on processes that do not write.

        Every process has to call.
        """
        if self.sharded or self.rank == 0:
            found = whole(state, keep=self.rank == 0)
        return found if self.rank == 0 else None

    def without_exchange(self, module: Any) -> AbstractContextManager[Any]:
        """While active, gradients stay with each process: those of a part of a batch.

        Not sharded ones, which would then stay whole.
        """
        if self.num == 1 or self.sharded:
            return nullcontext()
        found: AbstractContextManager[Any] = self.fabric.no_backward_sync(module)
        return found

    def barrier(self) -> None:
        """Wait for all."""
        if self.num > 1:
            self.fabric.barrier()

    def gather(self, value: Any) -> list[Any]:
        """Each process's value, in the order of ranks."""
        if self.num == 1:
            return [value]
        found: list[Any] = [None] * self.num
        torch.distributed.all_gather_object(found, value)
        return found


def _as_it_is(module: Any, mesh: Any) -> Any:
    """The module; :meth:`Processes.place` has sharded its network before."""
    return module
