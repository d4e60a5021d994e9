"""Whether two pictures with like fingerprints are the same picture, pixel by pixel.

Pictures of one body part of different people, such as films of the chest, have like fingerprints: their structures
are alike, but lie elsewhere by a little and differ in fine detail. So one picture is laid over the other, and then the
fine structures must agree, or nearly agree (another focus, strong compression) with every part in its place.
"""

import numpy as np

from dermtl.arrays import Array
from dermtl.data.duplicates.alignment import DISC, band_pass, lay_over, smooth
from dermtl.data.duplicates.similarity import pose

AGREES = 0.945  # correlation of the fine structure; copies measured 0.9 to 1, look-alike films at most 0.92
NEARLY_AGREES = 0.84  # one field of a microscope at another focus measured 0.86
IN_PLACE_PX = 0.3  # of 128 pixels; copies measured at most 0.29, parts of look-alike films at least 0.36
_WINDOW_PX = 6.0  # Gaussian window in which a part of a picture moves as one


def is_same_picture(one: Array, other: Array, one_print: Array, other_print: Array) -> bool:
    """Whether two pictures with like fingerprints are copies.

    Args:
        one: Thumbnail of :func:`~dermtl.data.duplicates.alignment.thumbnail`, uint8 [128, 128].
        other: Thumbnail of the other picture.
        one_print: Fingerprint, complex64 [28, 33].
        other_print: Fingerprint of the other picture.
    """
    angle, is_mirrored = pose(one_print, other_print)
    laid = lay_over(one, other, angle, is_mirrored=is_mirrored)
    agreement = correlation(one, laid)
    if agreement >= AGREES:
        return True
    return agreement >= NEARLY_AGREES and displacement(one, laid) <= IN_PLACE_PX


def correlation(one: Array, laid: Array) -> float:
    """Pearson correlation of the fine structure of two aligned thumbnails within the disc."""
    first, second = (band_pass(image, 1.0, 3.0)[DISC] for image in (one, laid))
    return float(np.corrcoef(first, second)[0, 1]) if first.std() and second.std() else 0.0


def displacement(one: Array, laid: Array) -> float:
    """How far the parts of two aligned thumbnails lie apart, in their pixels.

    The shift of each part is estimated by least squares in a Gaussian window; the result is the root of their mean
    square, weighted by contrast.

    Source: Lucas and Kanade 1981, applied to every window.
    """
    first, second = band_pass(one, 1.5, 5.0), band_pass(laid, 1.5, 5.0)
    second = second * float(first[DISC] @ second[DISC]) / max(float(second[DISC] @ second[DISC]), 1e-9)
    in_y, in_x = (np.where(DISC, slope, 0.0) for slope in np.gradient((first + second) / 2))
    rest = first - second
    xx, xy, yy, xr, yr = (
        smooth(product, _WINDOW_PX) for product in (in_x * in_x, in_x * in_y, in_y * in_y, in_x * rest, in_y * rest)
    )
    contrast = (xx + yy)[DISC]
    damping = 0.02 * float(contrast.mean())  # flat parts stay where they are
    xx, yy = xx + damping, yy + damping
    determinant = np.maximum(xx * yy - xy * xy, 1e-12)
    square = ((yy * xr - xy * yr) ** 2 + (xx * yr - xy * xr) ** 2) / determinant**2
    return float(np.sqrt(np.average(square[DISC], weights=np.maximum(contrast, 1e-12))))
