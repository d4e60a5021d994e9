"""One training over several processes and machines, as ``torchrun`` starts them, on Lightning Fabric.

Every process computes its part of each batch, so the batch size, and with it the meaning of every learning rate, stays
what the experiment states. How losses are averaged over the processes is in
:mod:`~dermtl.training.distributed.loss_averaging`.
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
from torch import Tensor

from dermtl.config.training import Training
from dermtl.errors import ConfigError
from dermtl.model.network import Network
from dermtl.training.data.dataset import Batch
from dermtl.training.distributed.sharding import gather_full, lockstep, refuse_unsharable, shard

_log = logging.getLogger(__name__)


class ProcessGroup:
    """The processes that train this run; mostly there is one.

    Args:
        training: Section of the experiment with the accelerator, the precision and the batch size.

    Attributes:
        fabric: Lightning Fabric.
        num: Number of processes.
        rank: Index of this process; process 0 writes the files.
        sharded: Whether each process holds only a shard of the weights.

    Raises:
        ConfigError: The accelerator or the precision is not available, there are fewer records in a batch than
            processes, or a key of the experiment excludes sharding.
    """

    def __init__(self, training: Training) -> None:
        self.num = int(os.environ.get("WORLD_SIZE", "1"))
        self.sharded = training.shard and self.num > 1
        self.fabric = _make_fabric(training, self.num, sharded=self.sharded)
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
            _log.info("%d processes, %g records of a batch each; learning rates are not scaled", self.num, share)
        elif training.shard:
            _log.info("training.shard has no effect with one process")

    @property
    def device(self) -> torch.device:
        """Device of this process."""
        return torch.device(self.fabric.device)

    def to_device(self, network: Network) -> Network:
        """The network on this process's device; of a sharded network, this process's shard.

        Raises:
            ConfigError: The network cannot be sharded.
        """
        if not self.sharded:
            return network.to(self.device)
        shard(network, self.fabric.strategy.device_mesh["data_parallel"])
        return network

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, summed over the processes.

        Args:
            loss: What this process's rows add to the loss of the whole batch, see
                :mod:`~dermtl.training.distributed.loss_averaging`. DDP and FSDP average gradients over the processes;
                times the number of processes, that is their sum.
        """
        self.fabric.backward(loss * self.num)

    def lockstep(self, batches: Iterable[Batch], network: Network, num: int) -> Iterable[Batch]:
        """Batches for passes without gradients, of which other processes may have up to ``num``."""
        return lockstep(batches, network, num) if self.num > 1 else batches

    def gather_full(self, state: Any) -> Any:
        """Copy nested mappings and lists with full tensors in the host's memory; every process has to call.

        Returns:
            The copy on process 0, None on the others.
        """
        full = gather_full(state, keep=self.rank == 0) if self.sharded or self.rank == 0 else None
        return full if self.rank == 0 else None

    def no_sync(self, module: Any) -> AbstractContextManager[Any]:
        """While active, gradients are not exchanged but accumulate in each process.

        Sharded gradients are always exchanged: each process would otherwise hold them in full.
        """
        if self.num == 1 or self.sharded:
            return nullcontext()
        context: AbstractContextManager[Any] = self.fabric.no_backward_sync(module)
        return context

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.num > 1:
            self.fabric.barrier()

    def gather(self, value: Any) -> list[Any]:
        """Each process's value, in the order of ranks."""
        if self.num == 1:
            return [value]
        values: list[Any] = [None] * self.num
        torch.distributed.all_gather_object(values, value)
        return values


def _make_fabric(training: Training, num: int, *, sharded: bool) -> Fabric:
    """Lightning Fabric for so many processes."""
    # A batch may lack every record that one of the heads could learn from.
    strategy: Any = DDPStrategy(find_unused_parameters=True)
    if sharded:
        refuse_unsharable(training)
        strategy = ModelParallelStrategy(_unchanged, data_parallel_size=num, tensor_parallel_size=1)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", num))
    several: dict[str, Any] = {"devices": local, "num_nodes": num // local, "strategy": strategy}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*fp16 is not supported on CPU")  # refused below
            fabric = Fabric(
                accelerator=training.accelerator,
                precision=training.precision,
                **(several if num > 1 else {"devices": 1}),
            )
    except (RuntimeError, ValueError) as error:  # an unknown name, or a device that is not there
        wanted = f"{training.accelerator!r} with precision {training.precision!r}"
        reason = " ".join(str(error).split())
        raise ConfigError(f"training.accelerator: {wanted} cannot be used: {reason}") from error
    if fabric.strategy.precision.precision != training.precision:
        raise ConfigError(
            f"training.precision: {training.precision} needs a GPU", hint="bf16-mixed or 32-true do without"
        )
    return fabric


def _unchanged(module: Any, mesh: Any) -> Any:
    """The module; :meth:`ProcessGroup.to_device` has sharded its network before."""
    return module
