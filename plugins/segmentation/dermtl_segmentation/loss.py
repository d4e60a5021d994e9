"""Differentiable losses between predicted and true outlines."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dermtl.api import PartialMask

EPS = 1.0
IGNORED = PartialMask.IGNORED


def foreground(raw: Tensor) -> Tensor:
    """Probability of every foreground class, float32 [N, C, S, S].

    Args:
        raw: float [N, 1, S, S], one class's logit; or [N, 1 + C, S, S], logits of background and classes.
    """
    if raw.shape[1] == 1:
        return torch.sigmoid(raw.float())
    return torch.softmax(raw.float(), dim=1)[:, 1:]


def cross_entropy(raw: Tensor, target: Tensor) -> Tensor:
    """Mean over each row's pixels, float32 [N]: binary for one class, else over background and classes.

    Args:
        raw: As :func:`foreground`.
        target: integers [N, S, S], 0 for background and 1..C; pixels of 255 do not count.
    """
    counted = target != IGNORED
    if raw.shape[1] == 1:
        loss = F.binary_cross_entropy_with_logits(raw[:, 0].float(), (target == 1).float(), reduction="none")
    else:
        loss = F.cross_entropy(raw.float(), torch.where(counted, target, 0).long(), reduction="none")
    return (loss * counted).sum(dim=(1, 2)) / counted.sum(dim=(1, 2)).clamp(min=1)


def soft_dice(raw: Tensor, target: Tensor) -> Tensor:
    """1 - (2 sum pg + eps) / (sum p + sum g + eps), summed over one image and class; mean over classes, [N].

    Args:
        raw: As :func:`foreground`.
        target: integers [N, S, S], 0 for background and 1..C; pixels of 255 do not count.
    """
    probability = foreground(raw) * (target != IGNORED).unsqueeze(1)
    numbers = torch.arange(1, probability.shape[1] + 1, device=target.device).view(1, -1, 1, 1)
    truth = (target.unsqueeze(1) == numbers).float()
    common = (probability * truth).sum(dim=(2, 3))
    total = probability.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    return (1 - (2 * common + EPS) / (total + EPS)).mean(dim=1)
