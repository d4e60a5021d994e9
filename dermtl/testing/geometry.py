"""Geometry of kinds by their drawings: whether an annotation moves as the pixels of the picture do."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops

from dermtl.arrays import Array
from dermtl.imaging.affine import Affine
from dermtl.imaging.view import View
from dermtl.kinds import Kind
from dermtl.testing.assertions import check, same

SIDE = 256  # of the network frame here, in pixels
LIMIT_PX = 1.0
_FINE = 2  # pixels of a drawing to one of the network frame: pens round to whole ones
_CANVAS = _FINE * SIDE * 5 // 4  # of every drawing, as strokes are as wide as the picture asks for
_FEW = 16 * _FINE**2  # marks of which nothing is said
_GREY = (128, 128, 128)


def views(plain: View) -> dict[str, View]:
    """The plain letterbox, moved in the network frame; circles stay circles in all of these."""
    middle = SIDE / 2

    def turned(degrees: float, scale: float = 1.0, mirror: float = 1.0, shift: tuple[float, float] = (0, 0)) -> View:
        cos, sin = math.cos(math.radians(degrees)) * scale, math.sin(math.radians(degrees)) * scale
        linear = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
        offset = np.array([middle, middle]) - linear @ [middle, middle] + np.array(shift)
        return View(plain.affine.then(Affine(np.column_stack([linear, offset]))), SIDE, plain.source_hw)

    return {
        "flipped left to right": turned(0, mirror=-1),
        "flipped top to bottom": turned(180, mirror=-1),
        "turned by 90 degrees": turned(90),
        "turned by 33 degrees": turned(33),
        "scaled to 80%": turned(0, 0.8),
        "scaled to 125%": turned(0, 1.25),
        "cropped": turned(0, 1.15, shift=(17.5, -9.25)),
    }


def marks(kind: Kind, truth: Array, scale: float = 1.0) -> Array:
    """The pixels that the kind draws for an annotation.

    Args:
        kind: Kind of the annotation.
        truth: An annotation in source pixels, or a target in network pixels.
        scale: Network pixels to one of the truth's; all drawings are then equally fine, and their strokes equally wide.

    Returns:
        float64 [n, 2], x and y of every pixel drawn, in the truth's pixels.
    """
    value = kind.perfect_value(truth)
    check(
        np.ndim(value) == len(kind.shape),
        f"perfect_value gives {list(np.shape(value))}, the shape is {list(kind.shape)}",
    )
    enlarged = np.asarray(kind.restore(value, _Enlarged(_FINE * scale)))
    check(not same(enlarged, value), "restore leaves a place where it is, whatever the frame")
    blank = Image.new("RGB", (_CANVAS, _CANVAS), _GREY)
    drawn = ImageChops.difference(kind.draw(blank, enlarged), blank)
    left, top, *_ = box = drawn.getbbox() or (0, 0, 0, 0)
    red, green, blue = (np.asarray(band) for band in drawn.crop(box).split())
    rows, columns = np.nonzero(red | green | blue)
    return np.stack([columns + left + 0.5, rows + top + 0.5], axis=1) / (_FINE * scale)


def is_seen(marks: Array, width: float, height: float) -> Array:
    """Which marks, [n, 2], lie in a picture of this size; bool [n]."""
    return np.asarray(((marks >= 0) & (marks <= (width, height))).all(axis=1))


def compare(name: str, view: View, kind: Kind, annotation: Array, target: Array) -> bool:
    """The target's drawing against the annotation's, every pixel of which moves with the view.

    Middle and spread, in network pixels, over what both frames show, are to agree to a pixel.

    Returns:
        Whether there was enough to compare. A drawing that reaches the picture's border says nothing: what lies beyond
        is not in the picture, but may be in the target's.
    """
    height, width = view.source_hw
    scale = float(view.affine.lengths(np.array([1.0]))[0])
    source, found = marks(kind, annotation, scale), marks(kind, target)
    if not is_seen(source - 1, width - 2, height - 2).all():
        return False
    moved = view.affine.points(source)
    moved = moved[is_seen(moved, SIDE, SIDE)]
    found = found[is_seen(found, SIDE, SIDE) & is_seen(view.affine.inverse().points(found), width, height)]
    if min(len(moved), len(found)) < _FEW:
        return False
    (middle, extent), (other, others) = _moments(moved), _moments(found)
    off, stretch = float(np.hypot(*(other - middle))), float(np.abs(others - extent).max())
    check(off <= LIMIT_PX, f"{name}: the target lies {off:.1f} px from where the pixels moved")
    check(stretch <= LIMIT_PX, f"{name}: the target's extent differs by {stretch:.1f} px from that of the pixels")
    return True


@dataclass(frozen=True)
class _Enlarged:
    """A :class:`~dermtl.imaging.letterbox.Frame` that enlarges, onto the canvas."""

    factor: float

    def points(self, xy: Array) -> Array:
        return np.asarray(xy) * self.factor

    def lengths(self, values: Array) -> Array:
        return np.asarray(values) * self.factor

    def raster(self, values: Array) -> Array:
        """To the nearest; 0 where the canvas is larger."""
        nearest = ((np.arange(_CANVAS) + 0.5) / self.factor).astype(np.intp)
        rows, columns = (nearest[nearest < extent] for extent in values.shape[-2:])
        enlarged = np.zeros((*values.shape[:-2], _CANVAS, _CANVAS), values.dtype)
        enlarged[..., : len(rows), : len(columns)] = values[..., rows[:, None], columns]
        return enlarged

    def concat(self, parts: list[Array]) -> Array:
        return np.concatenate(parts, axis=-1)


def _moments(xy: Array) -> tuple[Array, Array]:
    """Middle [2]; and half the extent along x and along y, as of a disc, and how the two hang together, [3]; pixels."""
    covariance = np.cov(xy.T)
    x, y = math.sqrt(covariance[0, 0]), math.sqrt(covariance[1, 1])
    return xy.mean(axis=0), 2 * np.array([x, y, covariance[0, 1] / max(x, y, 1.0)])
