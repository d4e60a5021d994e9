"""What a stage trains, and how fast each part of it: groups, freezing, rates.

Groups are timm's own (``group_matcher``), coarse, in the order of depth. Rates are written into the optimiser's groups
here, because timm only notes a scale that torch's own schedules ignore.
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
from dermtl.training.optim.weight_decay import undecayed

_TINY = 0.01  # a last group with a smaller share of the parameters (a final norm) counts as part of the one before
_FLOOR = 0.01  # layer decay never scales a rate below this


@dataclass(frozen=True)
class Group:
    """Parameters of one depth of the backbone.

    Attributes:
        name: The common start of the parameters' names, such as ``layer3`` or ``blocks.5``.
        parameters: Name to parameter.
    """

    name: str
    parameters: dict[str, nn.Parameter]


def backbone_groups(network: Network) -> list[Group]:
    """The backbone's groups from input to output; with low-rank additions, these are all that a group holds."""
    model = network.backbone.model
    parameters = dict(model.named_parameters())
    ids: dict[int, list[str]] = group_parameters(model, model.group_matcher(coarse=True))
    members = [{name: parameters[name] for name in names} for _, names in sorted(ids.items())]
    found = [Group(common_path(own), own) for own in members]
    total = sum(parameter.numel() for parameter in parameters.values())
    while len(found) > 1 and sum(p.numel() for p in found[-1].parameters.values()) < _TINY * total:
        last = found.pop()
        found[-1] = Group(found[-1].name, found[-1].parameters | last.parameters)
    if any(is_addition(name) for name in parameters):
        return [Group(g.name, {n: p for n, p in g.parameters.items() if is_addition(n)}) for g in found]
    return found


def select(stage: Stage, groups: list[Group]) -> list[Group]:
    """The groups that a stage trains, the heads apart.

    Raises:
        ConfigError: There is no such group, or fewer groups than asked for.
    """
    names = ", ".join(group.name for group in groups)
    if stage.train == "head":
        return []
    if stage.train in ("all", "auto"):
        return groups
    mode, _, value = stage.train.partition(":")
    if mode == "last":
        if int(value) > len(groups):
            raise ConfigError(f"train: {stage.train} asks for more than the backbone's {len(groups)} groups: {names}")
        return groups[-int(value) :]
    matching = [index for index, group in enumerate(groups) if group.name == value]
    if not matching:
        raise ConfigError(f"train: {stage.train} names no group of the backbone; groups: {names}")
    return groups[matching[0] :]


def thawed(stage: Stage, groups: list[Group], epoch: int) -> list[Group]:
    """The groups that train in an epoch of a stage, counted from 0; with ``unfreeze_epochs`` they grow in number."""
    trained = select(stage, groups)
    if stage.unfreeze_epochs is None:
        return trained
    return trained[max(len(trained) - epoch // stage.unfreeze_epochs, 0) :]


def freeze(network: Network, trained: list[Group], norms: str = "train") -> None:
    """Let only the heads and ``trained`` learn, and keep frozen norms from moving and frozen dropout asleep.

    Call after every ``network.train()``, which would wake them.

    Args:
        network: Network to freeze in part.
        trained: The backbone's groups that learn.
        norms: ``train`` or ``frozen``, as in a stage; ``frozen`` keeps the running statistics of all BatchNorm layers
            of the backbone.
    """
    learning = {id(parameter) for group in trained for parameter in group.parameters.values()}
    for parameter in network.backbone.parameters():
        parameter.requires_grad_(id(parameter) in learning)
    for module in network.backbone.modules():
        if _is_frozen(list(module.parameters())):
            module.eval()
        elif _is_frozen(list(module.parameters(recurse=False))):
            module.training = False  # not eval(), which would reach the children too
        if norms == "frozen" and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    if not trained:
        network.backbone.eval()


def _is_frozen(parameters: list[nn.Parameter]) -> bool:
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def parameter_groups(
    network: Network, stage: Stage, groups: list[Group], others: Sequence[nn.Parameter] = ()
) -> list[dict[str, object]]:
    """Groups for the optimiser with ``lr``, ``weight_decay`` and ``name``.

    The heads, and ``others`` with them, get ``lr``, or what ``head_lrs`` says; a backbone group at distance d from the
    last gets ``(backbone_lr or lr) * max(layer_decay ** (d + 1), 0.01)``. What :func:`undecayed` names is not decayed.
    """
    trained = select(stage, groups)
    top = stage.backbone_lr or stage.lr
    unknown = [name for name in stage.head_lrs if name not in network.heads]
    if unknown:
        raise ConfigError(f"head_lrs: there is no head {unknown[0]!r}; heads: {', '.join(network.heads)}")
    rated = [
        (f"heads.{name}", dict(head.named_parameters()), stage.head_lrs.get(name, stage.lr))
        for name, head in network.heads.items()
    ]
    rated += [("objective", {"weights": parameter}, stage.lr) for parameter in others]
    for group in trained:
        distance = len(groups) - groups.index(group)
        rated.append((group.name, group.parameters, top * max(stage.layer_decay**distance, _FLOOR)))
    exempt = undecayed(network.backbone.model).union(*(undecayed(head) for head in network.heads.values()))
    built: list[dict[str, object]] = []
    for name, parameters, lr in rated:
        flat = [parameter for parameter in parameters.values() if parameter.ndim < 2 or id(parameter) in exempt]
        deep = [parameter for parameter in parameters.values() if parameter.ndim >= 2 and id(parameter) not in exempt]
        for members, decay in ((deep, stage.weight_decay), (flat, 0.0)):
            if members:
                built.append({"params": members, "lr": lr, "weight_decay": decay, "name": name})
    return built


def common_path(parameters: Mapping[str, nn.Parameter]) -> str:
    """``layer3`` for layer3.0.conv1.weight and layer3.1.bn2.bias; of several stems the heaviest gives the name."""
    stems: Counter[str] = Counter()
    for name, parameter in parameters.items():
        stems[name.partition(".")[0]] += parameter.numel()
    heaviest = max(stems, key=stems.__getitem__)
    modules = [name.split(".")[:-1] or [name] for name in parameters if name.partition(".")[0] == heaviest]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*modules, strict=False))
    return ".".join(parts[0] for parts in shared)
