"""Pictures of a stage that trains on smaller ones than the network is made for.

Targets stay in the frame of the network's own size, which heads know; only the pixels become fewer.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from dermtl.config.training import Stage
from dermtl.errors import ConfigError
from dermtl.model.network import Network


def shrunk(images: Tensor, size: int | None) -> Tensor:
    """Pictures at another side, antialiased.

    Args:
        images: uint8 or float [N, 3, S, S] in 0..255.
        size: Side s in pixels; None for as they are.

    Returns:
        float [N, 3, s, s] in 0..255; the pictures themselves if they have that size.
    """
    if size is None or images.shape[-1] == size:
        return images
    return F.interpolate(images.float(), size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def refuse_size(stage: Stage, network: Network) -> None:
    """Try a stage's size.

    Raises:
        ConfigError: The backbone does not take it, or it is larger than the network's own.
    """
    own, size = network.backbone.features.image_size, stage.image_size
    if size is None or size == own:
        return
    if size > own:
        raise ConfigError(f"image_size: {size} is above backbone.image_size: {own}", hint="raise that, too")
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, size, size))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).split("\n")[0]
        hint = f"leave it out, or train at {own} px"
        raise ConfigError(f"image_size: this network does not take {size} px: {reason}", hint=hint) from error
    finally:
        network.train(mode)
