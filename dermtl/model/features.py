"""The pooled features of pictures, by a backbone alone."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from dermtl.arrays import Array
from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.imaging.decode import read_image_for
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Record
from dermtl.model.backbone import Backbone

_BATCH = 16


def pooled_features(records: Sequence[Record], name: str, weights: Path | None = None, *, size: int = 224) -> Array:
    """What a pretrained backbone gives for pictures.

    Args:
        records: The pictures.
        name: Of a timm model.
        weights: Its safetensors file; None fetches timm's weights.
        size: Side of the letterboxed input in pixels.

    Returns:
        float32 [N, D].

    Raises:
        ConfigError: timm does not know the model, or its weights cannot be had.
        ImageReadError: A picture cannot be read.
    """
    backbone = Backbone(BackboneConfig(name=name, pretrained=weights or True, image_size=size)).eval()

    def boxed(record: Record) -> Array:
        image = read_image_for(record.path, size)
        return Letterbox.of(image, size).apply(image)

    found = []
    with torch.no_grad(), ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for start in range(0, len(records), _BATCH):
            batch = np.stack(list(threads.map(boxed, records[start : start + _BATCH])))
            found.append(backbone(torch.from_numpy(batch).permute(0, 3, 1, 2)).pooled.numpy())
    return np.concatenate(found)
