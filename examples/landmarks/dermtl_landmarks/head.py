"""Layers and loss of ``type: landmarks``. Raw is a share of the network frame's side."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.api import FeatureInfo, Features, Head
from dermtl_landmarks.config import LandmarksConfig


class LandmarksHead(Head):
    """One linear layer on the pooled features; raw: float [N, 2, 2], the ends in any order."""

    def __init__(self, config: LandmarksConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.side = float(features.image_size)
        self.linear = nn.Linear(features.num_pooled, 4)
        nn.init.normal_(self.linear.weight, std=1e-3)
        with torch.no_grad():
            self.linear.bias.copy_(torch.tensor([0.5, 0.3, 0.5, 0.7]))

    def forward(self, features: Features) -> Tensor:
        """Ends, float [N, 2, 2]."""
        ends: Tensor = self.linear(features.pooled)
        return ends.reshape(-1, 2, 2)

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Mean square of each row, [n], for the order of the ends that fits better.

        Near the horizontal either end may be the upper one.

        Args:
            raw: float32 [n, 2, 2].
            target: float32 [n, 2, 2] in network pixels.
        """
        true = target / self.side
        orders = [F.mse_loss(raw, ends, reduction="none").mean(dim=(1, 2)) for ends in (true, true.flip(1))]
        return {"quadratic": torch.minimum(*orders)}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``axis``: float32 [N, 2, 2] in network pixels, the upper end first."""
        ends = raw.float() * self.side
        return {"axis": torch.where(ends[:, :1, 1:] <= ends[:, 1:, 1:], ends, ends.flip(1))}
