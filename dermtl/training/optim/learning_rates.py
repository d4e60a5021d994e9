"""The learning rate and the weight decay of every layer: parameter groups for the optimiser."""

from collections.abc import Sequence

from torch import nn

from dermtl.config.training import Stage
from dermtl.errors import ConfigError
from dermtl.model.network import Network
from dermtl.training.optim.layer_groups import LayerGroup, trainable_groups
from dermtl.training.optim.weight_decay import undecayed

_MIN_FACTOR = 0.01  # layer decay never scales a rate below this


def parameter_groups(
    network: Network, stage: Stage, groups: Sequence[LayerGroup], others: Sequence[nn.Parameter] = ()
) -> list[dict[str, object]]:
    """Groups for a torch optimiser with ``params``, ``lr``, ``weight_decay`` and ``name``.

    A head learns at its rate in ``head_lrs``, or at ``lr``. The backbone's group at distance d from the last one learns
    at ``(backbone_lr or lr) * max(layer_decay ** (d + 1), 0.01)``. Parameters that :func:`undecayed` names have no
    weight decay.

    Args:
        network: Network to train.
        stage: Stage with the rates.
        groups: All groups of the backbone, from input to output.
        others: Further parameters, which learn at ``lr``.

    Raises:
        ConfigError: ``head_lrs`` names a head that does not exist, or ``train`` no group.
    """
    unknown = [name for name in stage.head_lrs if name not in network.heads]
    if unknown:
        raise ConfigError(f"head_lrs: there is no head {unknown[0]!r}; heads: {', '.join(network.heads)}")
    rated = [
        (f"heads.{name}", dict(head.named_parameters()), stage.head_lrs.get(name, stage.lr))
        for name, head in network.heads.items()
    ]
    rated += [("objective", {"weights": parameter}, stage.lr) for parameter in others]
    for group in trainable_groups(stage, groups):
        factor = max(stage.layer_decay ** (len(groups) - groups.index(group)), _MIN_FACTOR)
        rated.append((group.name, group.parameters, (stage.backbone_lr or stage.lr) * factor))
    exempt = undecayed(network.backbone.model).union(*(undecayed(head) for head in network.heads.values()))
    built: list[dict[str, object]] = []
    for name, parameters, lr in rated:
        flat = [parameter for parameter in parameters.values() if parameter.ndim < 2 or id(parameter) in exempt]
        deep = [parameter for parameter in parameters.values() if parameter.ndim >= 2 and id(parameter) not in exempt]
        for members, decay in ((deep, stage.weight_decay), (flat, 0.0)):
            if members:
                built.append({"params": members, "lr": lr, "weight_decay": decay, "name": name})
    return built
