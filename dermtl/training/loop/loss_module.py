"""Network and loss as one module, of which a step runs one forward pass."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dermtl.model.head import Features
from dermtl.model.network import Network
from dermtl.training.distributed.loss_averaging import Denominators
from dermtl.training.loop.loss import Objective, Targets


class LossModule(nn.Module):
    """The network followed by its objective: one forward pass reaches all trainable parameters, as DDP needs it.

    Args:
        network: Network to train.
        objective: Loss of its heads.
        tied: Give every head with a target on any process a gradient on all processes, zero if need be: sharded
            processes sum only gradients that all of them have.
    """

    def __init__(self, network: Network, objective: Objective, *, tied: bool = False) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self._tied = tied

    def forward(
        self, images: Tensor, targets: Targets, totals: Denominators, features: Sequence[Tensor] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What some rows add to the loss of the whole batch.

        If none of the rows has a target the loss is zero, but depends on every output: each process has to take part
        in the sum of gradients.

        Args:
            images: uint8 or float [N, 3, s, s].
            targets: Targets of these rows.
            totals: Denominators of the whole batch.
            features: Cached features of the backbone, first the pooled ones, then the maps; empty: the images are used.

        Returns:
            The loss, float [], and the unweighted numerators as :meth:`Objective.forward` returns them.
        """
        # Features arrive as a sequence of tensors because Fabric casts these, but no frozen dataclass.
        cached = Features(features[0], tuple(features[1:])) if features else None
        raw = self.network(images) if cached is None else self.network.run_heads(cached)
        loss, sums = self.objective(raw, targets, totals)
        if self._tied:
            zero = [raw[name].float().sum() * 0 for name in totals]
            return torch.stack([*zero, *([loss] if loss is not None else [])]).sum(), sums
        return (torch.stack([value.sum() for value in raw.values()]).sum() * 0 if loss is None else loss), sums
