"""Layers of ``type: circle`` with ``from``: the circle of another head's outline, by its moments. Nothing learns."""

import math

import torch
from torch import Tensor

from dermtl.api import FeatureInfo, Features, Head
from dermtl_regression.circle.config import CircleConfig

THRESHOLD = 0.5
_FAINT = 0.8  # the threshold is at most this share of the highest probability
_RAMP = 0.04  # share of the threshold over which a pixel goes from in to out on either side; more lets in haze
_TINY = 1e-6


class OutlineCircle(Head):
    """Centre of gravity of an outline and the radius of the disc of equal area; raw: float [N, 3], network pixels.

    Nothing flows back into the outline: it learns from masks alone.
    """

    def __init__(self, config: CircleConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.output = f"{config.from_}.mask"
        self.channel = config.channel

    def forward(self, features: Features) -> Tensor:
        """Circles, float32 [N, 3], network pixels."""
        return moments(features.outputs[self.output][:, self.channel].detach().float())

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """No terms."""
        return {}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``circle``: float32 [N, 3], centre x, centre y and radius in network pixels."""
        return {"circle": raw.float()}


def moments(probability: Tensor) -> Tensor:
    """The circle of each outline: the centre of gravity, and sqrt(area / pi), of its pixels above one half.

    Pixels within 0.02 of one half count in part, linearly, so that a rounding error moves the circle by a rounding
    error and not by a pixel; a mask of zeros and ones is exact. If the highest probability is below 0.625, the
    threshold is 0.8 of it, so that a faint outline gives a circle too. An outline of zeros gives a circle of radius 0
    in the middle.

    Args:
        probability: float32 [N, H, W] in 0..1. What the letterbox adds beside the picture must be about 0.

    Returns:
        float32 [N, 3]: centre x, centre y, radius in pixels, origin at the top-left corner.
    """
    height, width = probability.shape[-2:]
    threshold = (probability.amax(dim=(1, 2), keepdim=True) * _FAINT).clamp(_TINY, THRESHOLD)
    weight = ((probability / threshold - 1) / (2 * _RAMP) + 0.5).clamp(0, 1)
    columns, rows = weight.sum(dim=1), weight.sum(dim=2)  # [N, W], [N, H]
    area = rows.sum(dim=1)
    x = torch.arange(width, device=weight.device, dtype=torch.float32) + 0.5 - width / 2
    y = torch.arange(height, device=weight.device, dtype=torch.float32) + 0.5 - height / 2
    whole = area.clamp(min=_TINY)  # of nothing the sums are 0 as well, which is the middle
    centre_x, centre_y = (columns * x).sum(dim=1) / whole, (rows * y).sum(dim=1) / whole
    return torch.stack([centre_x + width / 2, centre_y + height / 2, torch.sqrt(area / math.pi)], dim=1)
