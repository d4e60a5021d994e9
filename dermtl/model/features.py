"""Pooled features of pictures from a backbone without heads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from dermtl.arrays import Array
from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.config.weights import with_stated
from dermtl.files.prefetch import batched, in_threads
from dermtl.imaging.decode import read_image_for
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Record
from dermtl.model.backbone import Backbone

_BATCH = 16


def pooled_features(records: Sequence[Record], name: str, weights: Path | None = None, *, size: int = 224) -> Array:
    """Pooled features of a pretrained backbone.

    Args:
        records: The pictures.
        name: Name of a timm model.
        weights: Safetensors file of its weights; None downloads the weights of timm.
        size: Side of the letterboxed input in pixels.

    Returns:
        float32 [N, D].

    Raises:
        ConfigError: timm does not know the model, or its weights cannot be had.
        ImageReadError: A picture cannot be read.
    """
    backbone = Backbone(with_stated(BackboneConfig(name=name, pretrained=weights or True, image_size=size))).eval()

    def boxed(record: Record) -> Array:
        image = read_image_for(record.path, size)
        return Letterbox.of(image, size).apply(image)

    pooled = []
    with torch.no_grad():
        for batch in batched(in_threads(boxed, records), _BATCH):
            images = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
            pooled.append(backbone(images).pooled.numpy())
    return np.concatenate(pooled)
