"""The layers of a backbone in groups, from input to output, and which of them a stage trains.

The groups are timm's own (``group_matcher``), coarse, in the order of depth.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from timm.models import group_parameters
from torch import nn

from dermtl.config.training import Stage
from dermtl.errors import ConfigError
from dermtl.model.lora import is_addition
from dermtl.model.network import Network

_MIN_SHARE = 0.01  # a last group with fewer of the parameters (a final norm) is merged into the one before


@dataclass(frozen=True)
class LayerGroup:
    """Parameters of one depth of the backbone.

    Attributes:
        name: Common start of the parameters' names, such as ``layer3`` or ``blocks.5``.
        parameters: Name to parameter.
    """

    name: str
    parameters: dict[str, nn.Parameter]


def backbone_groups(network: Network) -> list[LayerGroup]:
    """The backbone's groups from input to output; of a backbone with LoRA, only the low-rank additions."""
    model = network.backbone.model
    parameters = dict(model.named_parameters())
    ids: dict[int, list[str]] = group_parameters(model, model.group_matcher(coarse=True))
    members = [{name: parameters[name] for name in names} for _, names in sorted(ids.items())]
    groups = [LayerGroup(common_path(member), member) for member in members]
    total = sum(parameter.numel() for parameter in parameters.values())
    while len(groups) > 1 and sum(p.numel() for p in groups[-1].parameters.values()) < _MIN_SHARE * total:
        last = groups.pop()
        groups[-1] = LayerGroup(groups[-1].name, groups[-1].parameters | last.parameters)
    if any(is_addition(name) for name in parameters):
        return [LayerGroup(g.name, {n: p for n, p in g.parameters.items() if is_addition(n)}) for g in groups]
    return groups


def trainable_groups(stage: Stage, groups: Sequence[LayerGroup], epoch: int | None = None) -> list[LayerGroup]:
    """The groups of the backbone that a stage trains.

    Args:
        stage: Stage with the keys ``train`` and ``unfreeze_epochs``.
        groups: All groups of the backbone, from input to output.
        epoch: Epoch of the stage, counted from 0: only the groups that are unfrozen by then. None: all of the stage.

    Raises:
        ConfigError: The backbone has no such group, or fewer groups than the stage names.
    """
    trained = list(groups[_first_trained(stage, groups) :])
    if epoch is None or stage.unfreeze_epochs is None:
        return trained
    return trained[max(len(trained) - epoch // stage.unfreeze_epochs, 0) :]


def _first_trained(stage: Stage, groups: Sequence[LayerGroup]) -> int:
    """Index of the first group that a stage trains."""
    if stage.train in ("all", "auto"):
        return 0
    if stage.train == "head":
        return len(groups)
    names = [group.name for group in groups]
    mode, _, value = stage.train.partition(":")
    if mode == "last":
        if int(value) > len(groups):
            message = f"train: {stage.train} asks for more than the backbone's {len(groups)} groups: {', '.join(names)}"
            raise ConfigError(message)
        return len(groups) - int(value)
    if value not in names:
        raise ConfigError(f"train: {stage.train} names no group of the backbone; groups: {', '.join(names)}")
    return names.index(value)


def common_path(parameters: Mapping[str, nn.Parameter]) -> str:
    """Module path that parameters share: ``layer3`` for layer3.0.conv1.weight and layer3.1.bn2.bias.

    If the names start with several modules, the one with the most parameters gives the path.
    """
    stems: Counter[str] = Counter()
    for name, parameter in parameters.items():
        stems[name.partition(".")[0]] += parameter.numel()
    heaviest = max(stems, key=stems.__getitem__)
    modules = [name.split(".")[:-1] or [name] for name in parameters if name.partition(".")[0] == heaviest]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*modules, strict=False))
    return ".".join(parts[0] for parts in shared)
