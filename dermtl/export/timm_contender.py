"""The plain network that an exported model is timed against: timm's model in torch, run eagerly."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import timm
import torch

from dermtl.arrays import Array
from dermtl.errors import InputError
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.runtime.bundle import Bundle
from dermtl.runtime.contender import Contender


def timm_contender(bundle: Bundle, threads: int) -> Contender:
    """The model's backbone with timm's own classifier, fresh weights, float32.

    Args:
        bundle: What the exported model says of itself.
        threads: Number of threads that torch uses.

    Raises:
        InputError: The file does not name its backbone, or this timm does not know it.
    """
    backbone = bundle.provenance.get("backbone")
    name = backbone.get("name") if isinstance(backbone, dict) else None
    if not isinstance(name, str) or not timm.is_model(name):
        raise InputError(f"the model's backbone is {name!r}, which timm does not know", hint="--against another file")
    torch.set_num_threads(threads)
    size = bundle.size
    try:
        network = timm.create_model(name, pretrained=False, img_size=size)
    except TypeError:  # most networks take any size and no such argument
        network = timm.create_model(name, pretrained=False)
    network.eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (bundle.mean, bundle.std))

    def prepare(file: Path) -> Array:
        image = read_image(file)
        return Letterbox.of(image, size).apply(image)

    def run(squares: Sequence[Array]) -> object:
        planes = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            return network((planes - mean) / std)

    return Contender(f"timm {name}", prepare, run)
