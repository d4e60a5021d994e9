"""The values of a label picture, however it is stored: indexed, wide, signed, float or with transparency.

What a file could mean in two ways is refused with what was found; nothing is clipped, wrapped or cut off.
"""

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.errors import ImageFault, ImageReadError

_WIDE = 65535  # white of 16 bits


def label_values(image: Image.Image, where: str, *, is_numbered: bool = False) -> Array:
    """One value a pixel.

    Args:
        image: Upright.
        where: The file, for messages.
        is_numbered: The indices of a palette are numbers of classes, whatever the palette shows. Else a grey palette
            counts as what a viewer shows, and one of colours as the key to numbers if its first colour is black.

    Returns:
        uint8 [H, W].

    Raises:
        ImageReadError: The channels differ, or there are values that no label has.
    """
    if image.mode == "P":
        return _indexed(image, where, is_numbered)
    values = np.asarray(image.convert("L") if image.mode == "1" else image)
    if values.ndim == 3:
        values = _one_channel(values, where, has_alpha=image.mode in ("LA", "La", "RGBA", "RGBa"))
    return values if values.dtype == np.uint8 else _narrow(values, where)


def _indexed(image: Image.Image, where: str, is_numbered: bool) -> Array:
    indices = np.asarray(image)
    if is_numbered:
        return indices
    listed = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(listed)] = listed
    colours = palette[np.flatnonzero(np.bincount(indices.ravel(), minlength=256))]
    if (colours == colours[:, :1]).all():
        return np.asarray(palette[:, 0][indices])
    if palette[0].any() and (indices == 0).any():
        hint = "save it as grey levels, 0 for background"
        raise ImageReadError(
            "a mask's palette shows index 0 in a colour: which one is background?", where=where, hint=hint
        )
    return indices


def _one_channel(values: Array, where: str, *, has_alpha: bool) -> Array:
    colours = values[..., :-1] if has_alpha else values[..., :3]
    if not (colours == colours[..., :1]).all():
        raise ImageReadError("a mask needs one channel, this one is coloured", where=where, reason=ImageFault.COLOURED)
    grey, alpha = colours[..., 0], values[..., -1]
    if not has_alpha or alpha.min(initial=255) == 255:
        return np.asarray(grey)
    if not grey.any():
        hint = "save the alpha channel as a grey picture"
        raise ImageReadError(
            "a mask is black everywhere, and its shape stands in the transparency", where=where, hint=hint
        )
    return np.asarray(np.rint(grey.astype(np.float64) * alpha / 255), np.uint8)  # on black, as pictures are


def _narrow(values: Array, where: str) -> Array:
    """Wide, signed and float values that are whole numbers of 0..255, or 0 and 65535."""
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        hint = "save 0 and 255, or the numbers of the classes"
        raise ImageReadError("a mask holds fractions or NaN, expected whole numbers", where=where, hint=hint)
    low, top = values.min(initial=0), values.max(initial=0)
    if low < 0:
        raise ImageReadError(f"a mask holds 0..255, this one has {low:g}", where=where)
    if top == _WIDE and np.isin(values, (0, _WIDE)).all():
        return np.asarray(np.where(values == _WIDE, 255, 0), np.uint8)
    if top > 255:
        raise ImageReadError(f"a mask holds 0..255, this one goes to {top:g}", where=where)
    return values.astype(np.uint8)
