"""timm's backbone with the pretrained file, as the plain loop, the linear probe and timm's own script use it."""

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.recipes.task import BACKBONE, MEAN, STD


def classifier(weights: str, num_outputs: int) -> nn.Module:
    """The pretrained backbone with a new linear layer, or with none for 0 outputs.

    The layer is torch's own: timm's begins with weights up to one by the root of the number of classes, far too large
    for few.
    """
    overlay = {"file": weights}
    backbone = timm.create_model(BACKBONE, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0)
    return nn.Sequential(backbone, nn.Linear(backbone.num_features, num_outputs)) if num_outputs else backbone


class Outline(nn.Module):
    """The pretrained backbone's five maps, summed from the deepest up, and one convolution on top."""

    def __init__(self, weights: str, width: int = 64) -> None:
        super().__init__()
        overlay = {"file": weights}
        self.maps = timm.create_model(BACKBONE, pretrained=True, pretrained_cfg_overlay=overlay, features_only=True)
        self.narrow = nn.ModuleList(nn.Conv2d(num, width, 1) for num in self.maps.feature_info.channels())
        self.top = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, H, W] of the outline."""
        maps = [narrow(found) for narrow, found in zip(self.narrow, self.maps(image), strict=True)]
        x = maps[-1]
        for finer in maps[-2::-1]:
            x = finer + F.interpolate(x, size=finer.shape[-2:], mode="bilinear")
        return F.interpolate(self.top(x), size=image.shape[-2:], mode="bilinear")[:, 0]


def tensor(image: Image.Image) -> Tensor:
    """Float [3, H, W], normalised."""
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@torch.inference_mode()
def outputs(model: nn.Module, images: list[Image.Image], batch_size: int = 32) -> Tensor:
    """What a model gives for each picture, in evaluation mode."""
    model.eval()
    parts = range(0, len(images), batch_size)
    return torch.cat([model(torch.stack([tensor(image) for image in images[i : i + batch_size]])) for i in parts])
