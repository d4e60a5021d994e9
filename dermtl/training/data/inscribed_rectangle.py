"""The largest upright rectangle inside a rotated one."""

import math

import numpy as np

from dermtl.imaging.affine import Affine
from dermtl.imaging.view import View


def inscribed_wh(width: float, height: float, angle_rad: float) -> tuple[float, float]:
    """Width and height of the largest upright rectangle inside a rectangle that is rotated about its centre.

    Source: elementary geometry. Either two corners of the result touch the long sides (half constrained), or each of
    the four corners touches a side.
    """
    sine, cosine = abs(math.sin(angle_rad)), abs(math.cos(angle_rad))
    long, short = max(width, height), min(width, height)
    if short <= 2 * sine * cosine * long or abs(sine - cosine) < 1e-10:
        half = short / 2
        return (half / sine, half / cosine) if width >= height else (half / cosine, half / sine)
    double = cosine**2 - sine**2
    return (width * cosine - height * sine) / double, (height * cosine - width * sine) / double


def inscribed_crop(letterbox: View, angle_deg: float) -> tuple[Affine, tuple[float, float]]:
    """Rotate a letterboxed picture, crop the largest upright rectangle, and letterbox the crop again.

    Args:
        letterbox: View of the letterboxed picture.
        angle_deg: Angle in degrees, counter-clockwise as seen.

    Returns:
        The similarity from old to new network pixels; and width and height of the crop in new network pixels.
    """
    height, width = letterbox.source_hw
    side = letterbox.size
    wide, high = letterbox.affine.lengths(np.array([width, height]))
    centre = letterbox.affine.points(np.array([width / 2, height / 2]))
    angle = math.radians(angle_deg)
    crop = inscribed_wh(wide, high, angle)
    scale = side / max(crop)
    turn = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return Affine(np.column_stack([turn, side / 2 - turn @ centre])), (crop[0] * scale, crop[1] * scale)
