"""Layers, loss and activation of ``type: tags``."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.api import FeatureInfo, Features, Head
from dermtl_classification.linear import pooled_linear
from dermtl_classification.tags.config import TagsConfig


class TagsHead(Head):
    """Pooled features, dropout, one linear layer; raw: logits, float [N, K]."""

    pos_weight: Tensor | None

    def __init__(self, config: TagsConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        if config.pos_weight == "auto":
            raise ValueError("the config has no weights yet: call fitted(records) first")
        self.layers: nn.Sequential = pooled_linear(features.num_pooled, len(config.labels), config.dropout)
        named = config.pos_weight
        weight = torch.tensor([named.get(name, 1.0) for name in config.labels]) if named else None
        self.register_buffer("pos_weight", weight, persistent=False)

    def forward(self, features: Features) -> Tensor:
        """Logits, float [N, K]."""
        logits: Tensor = self.layers(features.pooled)
        return logits

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Binary cross-entropy of each row, the mean over its labels, [n].

        Args:
            raw: float32 [n, K].
            target: float32 [n, K] of 0 and 1.
        """
        truth = target.to(raw.dtype)
        loss = F.binary_cross_entropy_with_logits(raw, truth, pos_weight=self.pos_weight, reduction="none")
        return {"bce": loss.mean(dim=1)}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``probability``: float32 [N, K], each in 0..1."""
        return {"probability": torch.sigmoid(raw.float())}
