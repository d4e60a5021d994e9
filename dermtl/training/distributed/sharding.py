"""Weights, gradients and the optimiser's state spread over processes, for backbones that one device cannot hold.

torch's fully sharded data parallel (FSDP2). Between steps each process keeps its rows of every parameter; a block's
weights are put together while it runs, and its gradients are summed straight into rows. Every time the network runs is
an exchange, so all processes have to run it equally often. What leaves this file is either rows, as torch's DTensor, or
whole tensors: files hold the latter, so a run can go on, and be exported, on any number of processes.
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
from dermtl.training.optim.parameter_groups import common_path

_log = logging.getLogger(__name__)
_TINY = 1e-3  # a group with a smaller share of the weights is not worth an exchange of its own
# Of timm's, those seen to move shared weights as they move whole ones. Muon does not, others fail in their first step.
_OPTIMISERS = (
    *("adabelief", "adadelta", "adagrad", "adam", "adamax", "adamw", "adan", "adanw", "adopt", "adoptw"),
    *("lamb", "lambw", "laprop", "larc", "lars", "lion", "madgrad", "madgradw", "momentum", "nadam", "nadamw"),
    *("nesterov", "nesterovw", "radam", "radamw", "rmsprop", "rmsproptf", "rmsproptfw", "sgd", "sgdw"),
)


def refuse_unsharable(training: Training) -> None:
    """Refuse what does not go with sharding.

    Raises:
        ConfigError: Naming the key.
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
    """Leave each process its rows of the parameters, moved to the mesh's device block by block.

    Args:
        network: On the host, with the same weights on every process. Afterwards it also loads whole tensors.
        mesh: Of one dimension.

    Raises:
        ConfigError: The network cannot be shared out.
    """
    numbers = [name for name, parameter in network.named_parameters() if not parameter.ndim]
    if numbers:
        raise ConfigError(f"training.shard: {numbers[0]} is a single number, which has no rows", hint="shard: false")
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()  # FSDP takes no channels-last weights
    blocks = _blocks(network)
    for block in reversed(blocks.values()):  # one within another comes first
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)
    assert isinstance(network, FSDPModule)  # it has become one
    network.register_load_state_dict_pre_hook(_take_rows)  # type: ignore[no-untyped-call]
    network.register_forward_pre_hook(lambda *_: share_buffers(network) if network.training else None)
    try:
        with torch.no_grad():
            network(_blank(network))
    except RuntimeError as error:
        told = str(error).splitlines()[0]
        raise ConfigError(f"training.shard: this backbone does not let itself be shared: {told}") from error
    network.reshard()
    held = sum(rows(parameter).numel() for parameter in network.parameters())
    total = sum(parameter.numel() for parameter in network.parameters())
    _log.info("sharded in %d blocks: this process keeps %d of %d weights", len(blocks) + 1, held, total)


def rows(tensor: Tensor) -> Tensor:
    """What this process keeps of a tensor, in the same memory; all of one that is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def rows_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, cut as ``like`` is; itself where ``like`` is not sharded."""
    if not isinstance(like, DTensor) or isinstance(tensor, DTensor):
        return tensor
    on_device = tensor.to(like.device).contiguous()
    # Every process has it all: nothing needs to be sent.
    return distribute_tensor(on_device, like.device_mesh, like.placements, src_data_rank=None)


def optimiser_rows(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's state as stored, whole, cut as its parameters are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def cut(value: Any, parameter: Tensor) -> Any:
        return rows_like(value, parameter) if isinstance(value, Tensor) and value.shape == parameter.shape else value

    found = {
        index: {name: cut(value, parameters[index]) for name, value in own.items()}
        for index, own in state["state"].items()
    }
    return {**state, "state": found}


def whole(value: Any, *, keep: bool) -> Any:
    """Mappings and lists with whole tensors in the host's memory; every process has to call.

    Args:
        value: Holds tensors at any depth, in the same order on every process.
        keep: Whether this process wants them; else tensors become None, one after the other.
    """
    if isinstance(value, Mapping):
        return {name: whole(part, keep=keep) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(whole(part, keep=keep) for part in value)
    if not isinstance(value, Tensor):
        return value
    full = value.full_tensor() if isinstance(value, DTensor) else value
    return full.detach().cpu() if keep else None


def in_step(batches: Iterable[Batch], network: Network, num: int) -> Iterator[Batch]:
    """Batches to run the network on without gradients, with the same buffers on every process.

    A process with fewer than ``num`` batches runs a sharded network on nothing besides.
    """
    share_buffers(network)
    left = num
    for batch in batches:
        yield batch
        left -= 1
    if isinstance(network, FSDPModule):
        for _ in range(left):
            network(_blank(network))
        network.reshard()  # a forward pass that no backward pass follows leaves the outermost weights put together


def share_buffers(network: nn.Module) -> None:
    """The first process's buffers, such as BatchNorm's, become everyone's; as data parallel training does, too."""
    buffers = list(network.buffers())
    for kind in dict.fromkeys(buffer.dtype for buffer in buffers):
        own = [buffer for buffer in buffers if buffer.dtype == kind]
        flat = torch.cat([buffer.flatten() for buffer in own])
        torch.distributed.broadcast(flat, 0)
        parts = torch.split_with_sizes(flat, [buffer.numel() for buffer in own])
        for buffer, part in zip(own, parts, strict=True):
            buffer.copy_(part.view_as(buffer))


def _blocks(network: Network) -> dict[str, nn.Module]:
    """The parts of the backbone that timm groups, as far as one call runs each of them; outer ones first."""
    model = network.backbone.model
    calls = dict.fromkeys(model.modules(), 0)

    def note(module: nn.Module, *_: Any) -> None:
        calls[module] += 1

    handles = [module.register_forward_hook(note) for module in calls]
    network.eval()
    with torch.no_grad():
        network.backbone(_blank(network))
    for handle in handles:
        handle.remove()
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    least = _TINY * sum(parameter.numel() for parameter in parameters.values())
    found: dict[str, nn.Module] = {}
    for names in group_parameters(model, model.group_matcher(coarse=False)).values():
        own = {name: parameters[name] for name in names}
        path = common_path(own)
        if calls.get(modules.get(path)) == 1 and sum(parameter.numel() for parameter in own.values()) > least:
            found[path] = modules[path]
    return dict(sorted(found.items(), key=lambda item: item[0].count(".")))


def _take_rows(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Before loading: of whole tensors this process's rows."""
    for name, own in module.state_dict(keep_vars=True).items():
        if isinstance(given := state.get(prefix + name), Tensor):
            state[prefix + name] = rows_like(given, own)


def _blank(network: Network) -> Tensor:
    """A picture of nothing, uint8 [1, 3, S, S]."""
    size = network.backbone.features.image_size
    return torch.zeros(1, 3, size, size, dtype=torch.uint8, device=next(network.backbone.buffers()).device)
