"""How much of its 16 bits a grey picture uses: 12 bits in 16 are nearly black once scaled."""

import numpy as np
from PIL import Image

from dermtl.errors import ImageReadError
from dermtl.imaging.header import FAULTS, Source, open_picture

FEW_LEVELS = 32  # of 256: a DICOM picture of 16 bits with fewer was scaled from a range that it does not fill
_FEW_BITS = 14  # what cameras and scanners give; a picture of 16 bits reaches further


def is_wide(mode: str) -> bool:
    """Whether a mode of Pillow's holds greys of more than 8 bits."""
    return mode.startswith("I;16") or mode == "I"


def narrow_bits(source: Source) -> int | None:
    """The bits that the largest value of a 16-bit grey picture needs, or None where it uses them, or is none.

    The picture is decoded without a cap: ask after the header was judged.
    """
    try:
        image, header = open_picture(source, "")
        with image:
            if not is_wide(image.mode):
                return None
            low, top = _extremes(image)
            if header.black:
                low, top = header.black - top, header.black - low
    except (ImageReadError, *FAULTS):
        return None
    bits = int(top).bit_length()
    if max(header.black, header.white) < 2**16 - 1:  # the file says so itself, and is scaled by it
        return None
    return bits if low >= 0 and 8 < bits <= _FEW_BITS else None


def _extremes(image: Image.Image) -> tuple[int, int]:
    values = np.asarray(image)
    return int(values.min()), int(values.max())
