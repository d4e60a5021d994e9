"""Which parameters receive gradients, and which norms and dropouts of the backbone stay in evaluation mode."""

from collections.abc import Iterable, Sequence

from torch import nn

from dermtl.model.network import Network
from dermtl.training.optim.layer_groups import LayerGroup


def set_trainable(network: Network, groups: Sequence[LayerGroup], norms: str = "train") -> None:
    """Train the heads and some groups of the backbone, and freeze the rest with its norms and dropouts.

    Call it after every ``network.train()``, which puts frozen norms and dropouts back into training mode.

    Args:
        network: Network to freeze in part.
        groups: Groups of the backbone to train.
        norms: ``train`` or ``frozen``, as in a stage; ``frozen`` keeps the running statistics of all BatchNorm layers
            of the backbone.
    """
    trained = {id(parameter) for group in groups for parameter in group.parameters.values()}
    for parameter in network.backbone.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    for module in network.backbone.modules():
        if _is_frozen(module.parameters()):
            module.eval()
        elif _is_frozen(module.parameters(recurse=False)):
            module.training = False  # not eval(), which would change the children too
        if norms == "frozen" and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    if not groups:
        network.backbone.eval()


def _is_frozen(parameters: Iterable[nn.Parameter]) -> bool:
    requires_grad = [parameter.requires_grad for parameter in parameters]
    return bool(requires_grad) and not any(requires_grad)
