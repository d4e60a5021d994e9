"""Layers, losses and activation of ``type: circle``."""

import torch
from torch import Tensor, nn

from dermtl.api import FeatureInfo, Features, Head
from dermtl_regression.circle.config import CircleConfig
from dermtl_regression.circle.decoder import TopDown
from dermtl_regression.circle.loss import centre_loss, circle_giou, radius_loss
from dermtl_regression.circle.outline import OutlineCircle
from dermtl_regression.circle.place import SoftArgmax

_INITIAL_STD = 1e-3  # small, so that an untrained head predicts the median radius
_MAX_LOG = 4.0  # radii stay within a factor of 55 of the median
_DEFAULT_RADIUS = 0.25  # share of the frame, if no training record has a circle
_TINY_PX = 1e-3


def build_circle_head(config: CircleConfig, features: FeatureInfo) -> Head:
    """The head for a config: learned, or derived from another head's outline."""
    return OutlineCircle(config, features) if config.from_ else CircleHead(config, features)


class CircleHead(Head):
    """The centre by soft-argmax over a decoded map, the radius from the features at that place.

    Raw: float32 [N, 3]: centre x and y as shares of the frame, in 0..1, and the logarithm of the radius over the median
    radius of the training records. A centre lies inside the frame, by half a place of the map at least.
    """

    def __init__(self, config: CircleConfig, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.size = float(features.image_size)
        self.median = self.size * (config.median_radius or _DEFAULT_RADIUS)
        reductions, channels = features.reductions, features.channels
        self.decoder = TopDown(channels, reductions, features.image_size, config.stride, config.channels)
        self.place = SoftArgmax(config.channels)
        linear = nn.Linear(config.channels, 1)
        nn.init.normal_(linear.weight, std=_INITIAL_STD)
        nn.init.zeros_(linear.bias)
        self.log_radius = nn.Sequential(nn.Dropout(config.dropout), linear)

    def forward(self, features: Features) -> Tensor:
        """Circles, float32 [N, 3], see the class."""
        centre, there = self.place(self.decoder(features.maps))
        return torch.cat([centre, self.log_radius(there).float()], dim=1)

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """``centre``, ``radius`` and ``giou``, which is 1 - GIoU, each float32 [n]: what each row adds.

        Args:
            raw: float32 [n, 3], see the class.
            target: float32 [n, 3] in network pixels.
        """
        circle = self.activate(raw)["circle"]
        log_ratio = raw[:, 2] - torch.log(target[:, 2].clamp(min=_TINY_PX) / self.median)
        return {
            "centre": centre_loss(circle, target),
            "radius": radius_loss(log_ratio),
            "giou": 1 - circle_giou(circle / self.size, target / self.size),
        }

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """``circle``: float32 [N, 3], centre x, centre y and radius in network pixels."""
        raw = raw.float()
        radius = self.median * torch.exp(raw[:, 2:].clamp(-_MAX_LOG, _MAX_LOG))
        return {"circle": torch.cat([raw[:, :2] * self.size, radius], dim=1)}
