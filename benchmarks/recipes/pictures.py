"""Decoding, resizing and augmenting for the plain loop and the linear probe: what any tutorial does, with Pillow.

Pictures are padded to a square, so that a circle stays one. Circles are given in pixels of that square.
"""

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.recipes.datasets import Picture

ROTATION_DEG = 20
JITTER = 0.2
Circle = tuple[float, float, float]


@dataclass(frozen=True)
class Square:
    """A picture in its square, with its truth there."""

    image: Image.Image
    circle: Circle | None = None
    mask: Image.Image | None = None


def load(picture: Picture, size: int) -> Square:
    """Decode a picture and pad it to a square of ``size`` pixels."""
    with Image.open(picture.path) as file:
        image = _pad(ImageOps.exif_transpose(file).convert("RGB"), size)
    mask = None
    if picture.mask is not None:
        with Image.open(picture.mask) as file:
            mask = _pad(file.convert("L"), size)
    return Square(image, into_square(picture, picture.circle, size) if picture.circle else None, mask)


def _pad(image: Image.Image, size: int) -> Image.Image:
    side = max(image.size)
    square = Image.new(image.mode, (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square.resize((size, size), Image.Resampling.BILINEAR)


def _place(picture: Picture, size: int) -> tuple[float, float, float]:
    side = max(picture.width, picture.height)
    scale = size / side
    return scale, (side - picture.width) // 2 * scale, (side - picture.height) // 2 * scale


def into_square(picture: Picture, circle: Circle, size: int) -> Circle:
    """A circle of the picture in the square."""
    scale, left, top = _place(picture, size)
    return circle[0] * scale + left, circle[1] * scale + top, circle[2] * scale


def out_of_square(picture: Picture, circle: Circle, size: int) -> Circle:
    """A circle of the square in the picture."""
    scale, left, top = _place(picture, size)
    return (circle[0] - left) / scale, (circle[1] - top) / scale, circle[2] / scale


def mask_out_of_square(picture: Picture, probability: NDArray[np.float32], size: int) -> NDArray[np.bool_]:
    """Where the picture's outline is, at its own size, from probabilities [size, size] of the square."""
    scale, left, top = _place(picture, size)
    box = (left, top, left + picture.width * scale, top + picture.height * scale)
    image = Image.fromarray(probability).resize((picture.width, picture.height), Image.Resampling.BILINEAR, box)
    return np.asarray(image) > 0.5


def augment(square: Square, draw: random.Random, *, upright: bool) -> Square:
    """Flips, a small rotation and colour jitter."""
    image, circle, mask = square.image, square.circle, square.mask
    size = image.width
    for flip in (Image.Transpose.FLIP_LEFT_RIGHT, *(() if upright else (Image.Transpose.FLIP_TOP_BOTTOM,))):
        if draw.random() < 0.5:
            image = image.transpose(flip)
            mask = mask.transpose(flip) if mask else None
            if circle:
                cx, cy, r = circle
                circle = (size - cx, cy, r) if flip is Image.Transpose.FLIP_LEFT_RIGHT else (cx, size - cy, r)
    degrees = draw.uniform(-ROTATION_DEG, ROTATION_DEG)
    image = image.rotate(degrees, Image.Resampling.BILINEAR)
    mask = mask.rotate(degrees, Image.Resampling.BILINEAR) if mask else None
    circle = rotate(circle, degrees, size) if circle else None
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(draw.uniform(1 - JITTER, 1 + JITTER))
    return Square(image, circle, mask)


def rotate(circle: Circle, degrees: float, size: int) -> Circle:
    """Turn a circle anticlockwise about the middle of the square, as ``Image.rotate`` turns pixels."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = circle[0] - size / 2, circle[1] - size / 2
    return size / 2 + x * cos + y * sin, size / 2 - x * sin + y * cos, circle[2]
