"""Stages that train on smaller pictures than ``backbone.image_size``.

Targets stay in the frame of ``backbone.image_size``, which the heads know; only the pictures become smaller.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from dermtl.config.training import Stage
from dermtl.errors import ConfigError
from dermtl.model.network import Network


def shrink(images: Tensor, size: int | None) -> Tensor:
    """Resize pictures, antialiased.

    Args:
        images: uint8 or float [N, 3, S, S] in 0..255.
        size: Side s in pixels; None: S.

    Returns:
        float [N, 3, s, s] in 0..255; the pictures themselves if they have that size.
    """
    if size is None or images.shape[-1] == size:
        return images
    return F.interpolate(images.float(), size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def refuse_size(stage: Stage, network: Network) -> None:
    """Check the picture size of a stage by a dry run.

    Raises:
        ConfigError: The backbone does not accept the size, or it exceeds ``backbone.image_size``.
    """
    full, size = network.backbone.features.image_size, stage.image_size
    if size is None or size == full:
        return
    if size > full:
        raise ConfigError(f"image_size: {size} is above backbone.image_size: {full}", hint="raise that, too")
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, size, size))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).split("\n")[0]
        hint = f"leave it out, or train at {full} px"
        raise ConfigError(f"image_size: this network does not take {size} px: {reason}", hint=hint) from error
    finally:
        network.train(mode)
