"""Focal loss for one of K classes."""

import torch
from torch import Tensor
from torch.nn import functional as F


def focal_loss(
    raw: Tensor, target: Tensor, *, gamma: float, weight: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy whose term of class k is scaled by (1 - p_k)^gamma; with gamma 0 it is torch's, unreduced.

    Args:
        raw: Logits, float32 [n, K].
        target: int64 [n], index of the class; or float32 [n, K], the share of each class, rows sum to one.
        gamma: At least 0.
        weight: Weight of each class, float32 [K]; None weighs all classes alike.
        label_smoothing: Share that is spread over all classes alike.

    Returns:
        float32 [n], each row times the weights of its classes.

    Source: Lin et al. 2017, Focal loss for dense object detection, equation 5, with shares as mixing and label
    smoothing give them in the place of a single class.
    """
    num_classes = raw.shape[1]
    shares = F.one_hot(target, num_classes).to(raw.dtype) if target.ndim == 1 else target
    smoothed = shares * (1 - label_smoothing) + label_smoothing / num_classes
    log_p = torch.log_softmax(raw, dim=1)
    # 1 - p without cancellation; the root of a gamma below 1 has no slope at 0.
    missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(raw.dtype).tiny)
    factors = torch.ones(num_classes, dtype=raw.dtype, device=raw.device) if weight is None else weight
    return -(smoothed * factors * missing**gamma * log_p).sum(dim=1)
