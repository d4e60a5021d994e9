"""From COCO's outlines to pixels: polygons, and run lengths plain and packed. Knows no file."""

from collections.abc import Sequence

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import AnnotationError


def fill_polygon(points: Array, hw: tuple[int, int]) -> Array:
    """The pixels whose centre lies inside a polygon, by the even-odd rule.

    Args:
        points: float [n, 2], x and y in pixels, origin at the picture's top-left corner; it closes itself.
        hw: Height and width in pixels.

    Returns:
        bool [H, W].
    """
    height, width = hw
    flips = np.zeros((height, width + 1), np.bool_)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        # Rows whose centre lies in [y0, y1): a corner that two edges share is then counted once.
        rows = np.arange(max(0, int(np.ceil(y0 - 0.5))), min(height, int(np.ceil(y1 - 0.5))))
        crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.intp)
        flips[rows, columns] ^= True
    filled: Array = np.logical_xor.accumulate(flips, axis=1)[:, :width]
    return filled


def fill_runs(counts: Sequence[int], hw: tuple[int, int], where: str = "") -> Array:
    """Run lengths, column by column from the top left, background first.

    Args:
        counts: Lengths, background and foreground in turn; they sum to the number of pixels.
        hw: Height and width in pixels.
        where: The annotation, for messages.

    Returns:
        bool [H, W].

    Raises:
        AnnotationError: The lengths do not fit the size.
    """
    height, width = hw
    if any(type(count) is not int or count < 0 for count in counts) or sum(counts) != height * width:
        raise AnnotationError(f"the runs do not fill {width}x{height} pixels", where=where)
    values = np.arange(len(counts)) % 2 == 1
    filled: Array = np.repeat(values, counts).reshape(width, height).T
    return filled


def unpack_runs(text: str, where: str = "") -> list[int]:
    """COCO's packed run lengths.

    Five bits a character above ``0``, the lowest first, 32 marks that more follow, and 16 in the last one the sign.
    From the fourth number on, the difference to the number two before is stored.

    Raises:
        AnnotationError: The text is cut off or holds other characters.

    Source: the COCO API, maskApi.c, rleFrString.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise AnnotationError("the packed runs hold an unknown character or number", where=where)
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise AnnotationError("the packed runs are cut off", where=where)
    return counts
