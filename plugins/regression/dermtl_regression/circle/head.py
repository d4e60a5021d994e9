"""Layers, losses and activation of ``type: circle``. Knows no records and no source frame.

Raw is normalised, (cx / S, cy / S, r / (S / 2)) with S the side of the network's input; there is no softmax and no
other squashing, a circle may reach beyond the picture.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dermtl.api import FeatureInfo, Features, Head
from dermtl_regression.circle.config import CircleConfig
from dermtl_regression.circle.loss import circle_giou, quadratic, smooth_l1

FINE_REDUCTION = 16
FIRST_RAW = 0.5  # a circle in the middle, half as wide as the frame
_FIRST_STD = 1e-3  # small, so that the first circles are that one whatever the backbone's features are


class CircleHead(Head):
    """Pooled features, dropout, one linear layer; raw: float [N, 3], normalised.

    With ``xy: soft_argmax`` the linear layer gives the radius only, and the centre is read from a feature map.
    """

    scale: Tensor

    def __init__(self, config: CircleConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.config = config
        self.place = SoftArgmax(features) if config.xy == "soft_argmax" else None
        linear = nn.Linear(features.num_pooled, 3 if self.place is None else 1)
        nn.init.normal_(linear.weight, std=_FIRST_STD)
        nn.init.constant_(linear.bias, FIRST_RAW)
        self.layers = nn.Sequential(nn.Dropout(config.dropout), linear)
        side = float(features.image_size)
        self.register_buffer("scale", torch.tensor([side, side, side / 2]), persistent=False)

    def forward(self, features: Features) -> Tensor:
        """Circles, float [N, 3], normalised."""
        pooled: Tensor = self.layers(features.pooled)
        return pooled if self.place is None else torch.cat([self.place(features), pooled.float()], dim=1)

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The terms that ``loss`` names; ``circle_giou`` stands for 1 - GIoU.

        Args:
            raw: float32 [n, 3], normalised.
            target: float32 [n, 3] in network pixels.
        """
        true = target / self.scale
        lambda_r = self.config.lambda_r
        if self.config.loss == "quadratic":
            return {"quadratic": quadratic(raw, true, lambda_r)}
        if self.config.loss == "smooth_l1":
            return {"smooth_l1": smooth_l1(raw, true, lambda_r)}
        unit = self.scale / self.scale[0]  # for areas, the radius needs the unit of the centre
        giou = (1 - circle_giou(raw * unit, true * unit)).mean()
        if self.config.loss == "circle_giou":
            return {"circle_giou": giou}
        return {"quadratic": quadratic(raw, true, lambda_r), "circle_giou": self.config.giou_weight * giou}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``circle``: float32 [N, 3], centre x, centre y and radius in network pixels."""
        return {"circle": raw.float() * self.scale}


class SoftArgmax(nn.Module):
    """The expected place under a softmax over one feature map.

    The map is taken to span the frame whatever its size: place (row i, column j) is at ((j + 1/2) / w, (i + 1/2) / h).
    """

    def __init__(self, features: FeatureInfo) -> None:
        super().__init__()
        self.level = fine_level(features.reductions)
        # Without a bias: a softmax would not feel it.
        self.score = nn.Conv2d(features.channels[self.level], 1, kernel_size=1, bias=False)
        nn.init.normal_(self.score.weight, std=_FIRST_STD)

    def forward(self, features: Features) -> Tensor:
        """Expected x and y, float32 [N, 2] in 0..1."""
        score = self.score(features.maps[self.level]).float()
        height, width = score.shape[-2:]
        share = torch.softmax(score.flatten(1), dim=1).reshape(score.shape)
        x = (torch.arange(width, device=score.device, dtype=torch.float32) + 0.5) / width
        y = (torch.arange(height, device=score.device, dtype=torch.float32) + 0.5) / height
        return torch.stack([(share.sum(dim=(1, 2)) * x).sum(dim=1), (share.sum(dim=(1, 3)) * y).sum(dim=1)], dim=1)


def fine_level(reductions: Sequence[int]) -> int:
    """Index of the coarsest map whose reduction is at most 16, the deepest of equals; else of the finest map."""
    fine = [(reduction, level) for level, reduction in enumerate(reductions) if reduction <= FINE_REDUCTION]
    return max(fine)[1] if fine else 0
