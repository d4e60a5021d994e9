"""Layers and loss of ``type: classification``. Knows no records and no source frame."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.api import FeatureInfo, Features, Head
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.linear import pooled_linear


class ClassificationHead(Head):
    """Pooled features, dropout, one linear layer; raw: logits, float [N, K]."""

    weight: Tensor | None

    def __init__(self, config: ClassificationConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        if config.classes is None or config.class_weights == "auto":
            raise ValueError("the config has no classes or weights yet: call fitted(records) first")
        self.label_smoothing = config.label_smoothing
        self.layers: nn.Sequential = pooled_linear(features.num_pooled, len(config.classes), config.dropout)
        named = config.class_weights
        weight = torch.tensor([named.get(name, 1.0) for name in config.classes]) if named else None
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, features: Features) -> Tensor:
        """Logits, float [N, K]."""
        logits: Tensor = self.layers(features.pooled)
        return logits

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Cross-entropy, the mean over the rows weighted by their classes' weights.

        Args:
            raw: float32 [n, K].
            target: int64 [n], index of the class.
        """
        smoothing = self.label_smoothing
        return {"cross_entropy": F.cross_entropy(raw, target.long(), weight=self.weight, label_smoothing=smoothing)}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``probability``: float32 [N, K], rows sum to one."""
        return {"probability": torch.softmax(raw.float(), dim=1)}
