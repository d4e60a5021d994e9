"""Weights, gradients and the optimiser's state spread over processes, for backbones that one device cannot hold.

This is torch's fully sharded data parallel (FSDP2). Between steps each process holds its shard, some rows of every
parameter. A block's weights are gathered while the block runs, and its gradients are reduced straight into shards.
Every pass through the network communicates, so all processes have to run it equally often. Other files see either
shards, as torch's DTensor, or full tensors; run folders hold full tensors, so a run can be resumed and exported with
any number of processes.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from timm.models import group_parameters
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from dermtl.config.training import Training
from dermtl.errors import ConfigError
from dermtl.model.network import Network
from dermtl.training.data.dataset import Batch
from dermtl.training.optim.layer_groups import common_path

_log = logging.getLogger(__name__)
_MIN_SHARE = 1e-3  # a group with fewer of the weights is gathered together with its parent
# timm's optimisers that were seen to update sharded weights as full ones. Muon does not; others fail in the first step.
_OPTIMISERS = (
    *("adabelief", "adadelta", "adagrad", "adam", "adamax", "adamw", "adan", "adanw", "adopt", "adoptw"),
    *("lamb", "lambw", "laprop", "larc", "lars", "lion", "madgrad", "madgradw", "momentum", "nadam", "nadamw"),
    *("nesterov", "nesterovw", "radam", "radamw", "rmsprop", "rmsproptf", "rmsproptfw", "sgd", "sgdw"),
)


def refuse_unsharable(training: Training) -> None:
    """Check that an experiment can be trained with sharded weights.

    Raises:
        ConfigError: A key of the experiment excludes sharding.
    """
    if training.loss_weighting == "uncertainty":
        hint = "loss_weighting: fixed, or shard: false"
        raise ConfigError("training.shard: does not go with loss_weighting: uncertainty", hint=hint)
    if training.precision == "16-mixed":
        hint = "bf16-mixed, or shard: false"
        raise ConfigError("training.shard: does not go with precision: 16-mixed", hint=hint)
    for index, stage in enumerate(training.stages):
        if stage.optimizer.lower() not in _OPTIMISERS:
            message = f"training.shard: does not go with training.stages.{index}.optimizer: {stage.optimizer}"
            raise ConfigError(message, hint=f"one of {', '.join(_OPTIMISERS)}, or shard: false")


def shard(network: Network, mesh: DeviceMesh) -> None:
    """Keep only this process's shard of every parameter, moved to the mesh's device block by block.

    Args:
        network: Network on the host, with the same weights on every process. Afterwards it also loads full tensors.
        mesh: Device mesh of one dimension.

    Raises:
        ConfigError: The network cannot be sharded.
    """
    scalars = [name for name, parameter in network.named_parameters() if not parameter.ndim]
    if scalars:
        raise ConfigError(
            f"training.shard: {scalars[0]} is a single number, which cannot be split", hint="shard: false"
        )
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()  # FSDP takes no channels-last weights
    blocks = _blocks(network)
    for block in reversed(blocks.values()):  # inner blocks first
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)
    assert isinstance(network, FSDPModule)  # fully_shard changes the class
    network.register_load_state_dict_pre_hook(_shard_before_loading)  # type: ignore[no-untyped-call]
    network.register_forward_pre_hook(lambda *_: broadcast_buffers(network) if network.training else None)
    try:
        with torch.no_grad():
            network(_blank(network))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"training.shard: this backbone cannot be sharded: {reason}") from error
    network.reshard()
    held = sum(local_shard(parameter).numel() for parameter in network.parameters())
    total = sum(parameter.numel() for parameter in network.parameters())
    _log.info("sharded in %d blocks: this process holds %d of %d weights", len(blocks) + 1, held, total)


def local_shard(tensor: Tensor) -> Tensor:
    """This process's shard of a tensor, in the same memory; the tensor itself if it is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A full tensor, sharded as ``like``; the tensor itself if ``like`` is not sharded."""
    if not isinstance(like, DTensor) or isinstance(tensor, DTensor):
        return tensor
    on_device = tensor.to(like.device).contiguous()
    # Every process has the full tensor, so nothing is sent.
    return distribute_tensor(on_device, like.device_mesh, like.placements, src_data_rank=None)


def shard_optimiser_state(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's state with full tensors, sharded as the optimiser's parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def sharded(value: Any, parameter: Tensor) -> Any:
        return shard_like(value, parameter) if isinstance(value, Tensor) and value.shape == parameter.shape else value

    per_parameter = {
        index: {name: sharded(value, parameters[index]) for name, value in values.items()}
        for index, values in state["state"].items()
    }
    return {**state, "state": per_parameter}


def gather_full(value: Any, *, keep: bool) -> Any:
    """Copy nested mappings and lists with full tensors in the host's memory; every process has to call.

    Args:
        value: Tensors at any depth, in the same order on every process.
        keep: Whether this process needs the tensors; otherwise each of them is replaced by None.
    """
    if isinstance(value, Mapping):
        return {name: gather_full(part, keep=keep) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(gather_full(part, keep=keep) for part in value)
    if not isinstance(value, Tensor):
        return value
    full = value.full_tensor() if isinstance(value, DTensor) else value
    return full.detach().cpu() if keep else None


def lockstep(batches: Iterable[Batch], network: Network, num: int) -> Iterator[Batch]:
    """Batches for passes without gradients, with equal buffers and equally many passes on every process.

    Args:
        batches: This process's batches.
        network: Network that the caller runs on every batch.
        num: Largest number of batches of any process. A process with fewer runs a sharded network on blank pictures.
    """
    broadcast_buffers(network)
    missing = num
    for batch in batches:
        yield batch
        missing -= 1
    if isinstance(network, FSDPModule):
        for _ in range(missing):
            network(_blank(network))
        network.reshard()  # a forward pass without a backward pass leaves the outermost weights gathered


def broadcast_buffers(network: nn.Module) -> None:
    """Copy the first process's buffers, such as BatchNorm's statistics, to all processes, as DDP does."""
    buffers = list(network.buffers())
    for kind in dict.fromkeys(buffer.dtype for buffer in buffers):
        alike = [buffer for buffer in buffers if buffer.dtype == kind]
        flat = torch.cat([buffer.flatten() for buffer in alike])
        torch.distributed.broadcast(flat, 0)
        parts = torch.split_with_sizes(flat, [buffer.numel() for buffer in alike])
        for buffer, part in zip(alike, parts, strict=True):
            buffer.copy_(part.view_as(buffer))


def _blocks(network: Network) -> dict[str, nn.Module]:
    """Modules of the backbone, by path, that hold one group of timm's and run once per pass; outer ones first."""
    model = network.backbone.model
    calls = dict.fromkeys(model.modules(), 0)

    def count(module: nn.Module, *_: Any) -> None:
        calls[module] += 1

    handles = [module.register_forward_hook(count) for module in calls]
    network.eval()
    with torch.no_grad():
        network.backbone(_blank(network))
    for handle in handles:
        handle.remove()
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    smallest = _MIN_SHARE * sum(parameter.numel() for parameter in parameters.values())
    blocks: dict[str, nn.Module] = {}
    for names in group_parameters(model, model.group_matcher(coarse=False)).values():
        members = {name: parameters[name] for name in names}
        path = common_path(members)
        if calls.get(modules.get(path)) == 1 and sum(parameter.numel() for parameter in members.values()) > smallest:
            blocks[path] = modules[path]
    return dict(sorted(blocks.items(), key=lambda item: item[0].count(".")))


def _shard_before_loading(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Replace full tensors by this process's shards; a hook that runs before ``load_state_dict``."""
    for name, current in module.state_dict(keep_vars=True).items():
        if isinstance(full := state.get(prefix + name), Tensor):
            state[prefix + name] = shard_like(full, current)


def _blank(network: Network) -> Tensor:
    """A black picture, uint8 [1, 3, S, S]."""
    size = network.backbone.features.image_size
    return torch.zeros(1, 3, size, size, dtype=torch.uint8, device=next(network.backbone.buffers()).device)
