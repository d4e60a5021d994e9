"""Layers, losses and activation of ``type: number``.

Raw is standardised, (value - mean) / std, so that columns in different units weigh the same.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.api import FeatureInfo, Features, Head
from dermtl_regression.number.config import NumberConfig


class NumberHead(Head):
    """Pooled features, dropout, one linear layer that starts at the mean; raw: float [N, D], standardised."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: NumberConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        if config.mean is None or config.std is None:
            raise ValueError("the config has no mean or std yet: call fitted(records) first")
        self.config = config
        linear = nn.Linear(features.num_pooled, len(config.names))
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)
        self.layers = nn.Sequential(nn.Dropout(config.dropout), linear)
        self.register_buffer("mean", torch.tensor(config.mean), persistent=False)
        self.register_buffer("std", torch.tensor(config.std), persistent=False)

    def forward(self, features: Features) -> Tensor:
        """Standardised numbers, float [N, D]."""
        standardised: Tensor = self.layers(features.pooled)
        return standardised

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """``quadratic`` or ``smooth_l1`` (beta 1), of each row the mean over its numbers, in standard deviations, [n].

        Args:
            raw: float32 [n, D], standardised.
            target: float32 [n, D], in the numbers' own units.
        """
        true = (target - self.mean) / self.std
        if self.config.loss == "quadratic":
            return {"quadratic": F.mse_loss(raw, true, reduction="none").mean(dim=1)}
        return {"smooth_l1": F.smooth_l1_loss(raw, true, reduction="none").mean(dim=1)}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``value``: float32 [N, D] in the numbers' own units."""
        return {"value": raw.float() * self.std + self.mean}
