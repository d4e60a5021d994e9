"""Layers, loss and activation of ``type: classification``."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.api import FeatureInfo, Features, Head
from dermtl.taxonomy import roll_up
from dermtl_classification.category.class_weights import row_weights
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.category.focal import focal_loss
from dermtl_classification.linear import pooled_linear


class ClassificationHead(Head):
    """Pooled features, dropout, one linear layer; raw: logits, float [N, K]."""

    soft_targets: ClassVar[bool] = True
    weight: Tensor | None
    shift: Tensor | None
    sums: Tensor | None

    def __init__(self, config: ClassificationConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        if config.classes is None or config.class_weights == "auto":
            raise ValueError("the config has no classes or weights yet: call fitted(records) first")
        self.config = config
        self.layers: nn.Sequential = pooled_linear(features.num_pooled, len(config.classes), config.dropout)
        named = config.class_weights
        weight = torch.tensor([named.get(name, 1.0) for name in config.classes]) if named else None
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("shift", _prior_shift(config), persistent=False)
        sums = None if config.taxonomy is None else torch.tensor(roll_up(config.classes).matrix)
        self.register_buffer("sums", sums, persistent=False)

    def forward(self, features: Features) -> Tensor:
        """Logits, float [N, K]."""
        logits: Tensor = self.layers(features.pooled)
        return logits

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Cross-entropy or focal loss of each row, [n], times the weights of its classes.

        Args:
            raw: float32 [n, K].
            target: int64 [n], index of the class; or float32 [n, K], the share of each class, rows sum to one.
        """
        weight, smoothing = self.weight, self.config.label_smoothing
        if self.config.loss == "focal":
            gamma = self.config.focal_gamma
            return {"focal": focal_loss(raw, target, gamma=gamma, weight=weight, label_smoothing=smoothing)}
        rows = F.cross_entropy(raw, target, weight=weight, label_smoothing=smoothing, reduction="none")
        return {"cross_entropy": rows}

    def weights(self, target: Tensor) -> dict[str, Tensor]:
        """The weight of each row in the mean over the batch, float32 [n]; without class weights, rows count 1.

        Args:
            target: int64 [n], index of the class; or float32 [n, K], the share of each class, rows sum to one.
        """
        if self.weight is None:
            return {}
        return {self.config.loss: row_weights(self.weight, target)}

    def temper(self, raw: Tensor, temperature: float) -> Tensor:
        """Logits whose temperature applies after the correction for the deployment prior."""
        return raw / temperature if self.shift is None else (raw + self.shift) / temperature - self.shift

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``probability``: float32 [N, K], rows sum to one; corrected for the deployment prior, if there is one.

        With a taxonomy also ``node_probability``: float32 [N, U], the sum over the classes below each node.
        """
        logits = raw.float() if self.shift is None else raw.float() + self.shift
        probability = torch.softmax(logits, dim=1)
        if self.sums is None:
            return {"probability": probability}
        return {"probability": probability, "node_probability": probability @ self.sums}


def _prior_shift(config: ClassificationConfig) -> Tensor | None:
    """Shift of the logits, float32 [K], after which p'_k is proportional to p_k * deployed_k / trained_k.

    Source: Saerens, Latinne and Decaestecker 2002, Adjusting the outputs of a classifier to new a priori probabilities.
    """
    if config.deployment_prior is None or config.training_prior is None or config.classes is None:
        return None
    deployed, trained = config.deployment_prior, config.training_prior
    ratio = torch.tensor([deployed[name] / trained[name] for name in config.classes])
    return torch.log(ratio)
