"""Layers and loss of ``type: ordinal``.

Source: McCullagh 1980, Regression models for ordinal data: P(y <= k) = sigmoid(t_k - s), with one score s a picture and
thresholds t that rise.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.api import FeatureInfo, Features, Head
from dermtl_ordinal.config import OrdinalConfig


class OrdinalHead(Head):
    """One score from the pooled features, and thresholds that all pictures share; raw: float [N, 1], the score."""

    def __init__(self, config: OrdinalConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        num = len(config.levels) - 1
        self.score = nn.Linear(features.num_pooled, 1, bias=False)  # the thresholds are the bias
        nn.init.normal_(self.score.weight, std=0.01)
        self.first = nn.Parameter(torch.tensor([-(num - 1) / 2]))
        self.steps = nn.Parameter(torch.full((num - 1,), 0.54))  # softplus(0.54) is about 1

    def forward(self, features: Features) -> Tensor:
        """Scores, float [N, 1]."""
        scores: Tensor = self.score(features.pooled)
        return scores

    def thresholds(self) -> Tensor:
        """float32 [K - 1], rising."""
        return torch.cat([self.first, self.first + F.softplus(self.steps).cumsum(0)])

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Negative log-likelihood of each row's level, [n].

        With a < b, sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)), which keeps its logarithm finite.

        Args:
            raw: float32 [n, 1].
            target: int64 [n], the level.
        """
        thresholds = self.thresholds()
        last = len(thresholds)
        is_top, is_bottom = target == last, target == 0
        above = thresholds[target.clamp(max=last - 1)] - raw[:, 0]
        below = thresholds[(target - 1).clamp(min=0)] - raw[:, 0]
        gap = torch.where(is_top | is_bottom, above.new_tensor(-1.0), below - above)
        log_p = (
            torch.where(is_top, 0.0, F.logsigmoid(above))
            + torch.where(is_bottom, 0.0, F.logsigmoid(-below))
            + torch.where(is_top | is_bottom, 0.0, torch.log(-torch.expm1(gap)))
        )
        return {"cumulative_link": -log_p}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``probability``: float32 [N, K], rows sum to one."""
        below = torch.sigmoid(self.thresholds().float() - raw.float())
        ones = torch.ones_like(raw.float())
        rising = torch.cat([torch.zeros_like(ones), below, ones], dim=1)
        return {"probability": rising[:, 1:] - rising[:, :-1]}
