"""Layers and loss of ``type: attention_pool``."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.api import FeatureInfo, Features, Head
from dermtl_attention_pool.config import AttentionPoolConfig


class AttentionPoolHead(Head):
    """The coarsest feature map, pooled by attention instead of the mean, and one linear layer; raw: float [N, K]."""

    def __init__(self, config: AttentionPoolConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.pool = AttentionPool(features.channels[-1], config.queries)
        self.linear = nn.Linear(features.channels[-1] * config.queries, len(config.classes))

    def forward(self, features: Features) -> Tensor:
        """Logits, float [N, K]."""
        logits: Tensor = self.linear(self.pool(features.maps[-1]))
        return logits

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of each row, [n].

        Args:
            raw: float32 [n, K].
            target: int64 [n], index of the class.
        """
        return {"cross_entropy": F.cross_entropy(raw, target, reduction="none")}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``probability``: float32 [N, K], rows sum to one."""
        return {"probability": torch.softmax(raw.float(), dim=1)}


class AttentionPool(nn.Module):
    """Weighted means of a map's places, the weights a softmax over places, one a learned query.

    Source: Ilse et al. 2018, Attention-based deep multiple instance learning, equation 8, without the gate.

    Args:
        channels: C of the map.
        queries: Number Q of means.
    """

    def __init__(self, channels: int, queries: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, 64, kernel_size=1)
        self.query = nn.Conv2d(64, queries, kernel_size=1, bias=False)  # a softmax would not feel a bias

    def forward(self, values: Tensor) -> Tensor:
        """Float [N, C, h, w] to float [N, Q * C]."""
        weight = torch.softmax(self.query(torch.tanh(self.hidden(values))).flatten(2), dim=2)
        return torch.einsum("nqp,ncp->nqc", weight, values.flatten(2)).flatten(1)
