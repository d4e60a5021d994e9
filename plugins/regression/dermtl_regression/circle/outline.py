"""Layers of ``type: circle`` with ``from``: the circle of another head's outline, by its moments. Nothing learns."""

import math

import torch
from torch import Tensor

from dermtl.api import FeatureInfo, Features, Head
from dermtl_regression.circle.config import CircleConfig

THRESHOLD = 0.5
_FAINT = 0.8  # the threshold is at most this share of the highest probability
_RAMP = 0.04  # share of the threshold over which a pixel goes from in to out on either side; more lets in haze
_REACH = 1.75  # radii from the centre within which pixels count
_ROUNDS = 3
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

    Pixels farther than 1.75 radii from the centre are left out, and the circle is derived again, three times over: a
    network that mistakes a hair for a lesion would move the centre far. Of a perfect mask nothing lies there, unless it
    is longer than three times its width or in pieces; the circle is then that of its main part.

    Both limits are soft, by 0.02 of probability and by a pixel, so that a rounding error moves the circle by a rounding
    error and not by a pixel. If the highest probability is below 0.625, the limit is 0.8 of it instead of one half, so
    that a faint outline gives a circle too. An outline of zeros gives a circle of radius 0 in the middle.

    Args:
        probability: float32 [N, H, W] in 0..1. What the letterbox adds beside the picture must be about 0.

    Returns:
        float32 [N, 3]: centre x, centre y, radius in pixels, origin at the top-left corner.
    """
    height, width = probability.shape[-2:]
    threshold = (probability.amax(dim=(1, 2), keepdim=True) * _FAINT).clamp(_TINY, THRESHOLD)
    weight = ((probability / threshold - 1) / (2 * _RAMP) + 0.5).clamp(0, 1)
    # Counted from the middle, where sums of nothing lie.
    x = torch.arange(width, device=weight.device, dtype=torch.float32).view(1, 1, -1) + (1 - width) / 2
    y = torch.arange(height, device=weight.device, dtype=torch.float32).view(1, -1, 1) + (1 - height) / 2
    circle = _disc(weight, x, y)
    for _ in range(_ROUNDS):
        centre_x, centre_y, radius = (circle[:, part].view(-1, 1, 1) for part in range(3))
        distance = torch.sqrt((x - centre_x) ** 2 + (y - centre_y) ** 2)
        near = _disc(weight * (_REACH * radius - distance + 0.5).clamp(0, 1), x, y)
        circle = torch.where(near[:, 2:] > 0, near, circle)
    middle = torch.tensor([width / 2, height / 2, 0.0], device=weight.device)
    return circle + middle


def _disc(weight: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Centre of gravity and radius of equal area, float32 [N, 3], of weights [N, H, W] at places x and y."""
    area = weight.sum(dim=(1, 2))
    whole = area.clamp(min=_TINY)
    centre_x, centre_y = (weight * x).sum(dim=(1, 2)) / whole, (weight * y).sum(dim=(1, 2)) / whole
    return torch.stack([centre_x, centre_y, torch.sqrt(area / math.pi)], dim=1)
