"""Maps drawn over their pictures."""

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.imaging.letterbox import Letterbox

_TOP = 0.99  # quantile that gets full colour: single pixels would leave all others dark
_SHOWN_PX = 448  # longer side of what is drawn


def crop(values: Array, letterbox: Letterbox) -> Array:
    """Cut the padding off: [S, S, ...] in the network frame to [h, w, ...]."""
    rows, columns = _slices(letterbox)
    return values[rows, columns]


def picture_mask(letterbox: Letterbox) -> Array:
    """The pixels of the network frame that belong to the picture, not to the padding: bool [S, S]."""
    mask = np.zeros((letterbox.size, letterbox.size), bool)
    mask[_slices(letterbox)] = True
    return mask


def overlay(picture: Array, heat: Array) -> Image.Image:
    """Draw a map over its picture: coloured where the score depends on the picture, grey elsewhere.

    Args:
        picture: uint8 [h, w, 3].
        heat: float [h, w], at least 0.
    """
    from matplotlib import colormaps

    top = float(np.quantile(heat, _TOP))
    level = np.clip(heat / top, 0, 1)[..., None] if top > 0 else np.zeros((*heat.shape, 1))
    grey = picture.mean(axis=2, keepdims=True)
    colour = colormaps["inferno"](level[..., 0])[..., :3] * 255
    return enlarged(np.rint(grey * (1 - level) * 0.8 + colour * (0.2 + 0.8 * level) * level).astype(np.uint8))


def enlarged(pixels: Array) -> Image.Image:
    """Enlarge a picture, uint8 [h, w, 3], to the size of the report."""
    image = Image.fromarray(pixels)
    scale = _SHOWN_PX / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)


def _slices(letterbox: Letterbox) -> tuple[slice, slice]:
    scale = letterbox.size / letterbox.side
    left, top = letterbox.offset_xy
    height, width = letterbox.source_hw

    def part(offset: int, length: int) -> slice:
        start = round(offset * scale)
        return slice(start, max(start + 1, min(letterbox.size, round((offset + length) * scale))))

    return part(top, height), part(left, width)
