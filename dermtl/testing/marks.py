"""Geometry seen from outside: where a kind draws its truth, and whether that is where the pixels went."""

import math

import numpy as np
from PIL import Image

from dermtl.imaging.affine import Affine, Array
from dermtl.imaging.view import View
from dermtl.kinds import Kind
from dermtl.testing.requirement import require

SIDE = 256  # of the network frame here: close to the pictures' own size, so that strokes keep their width
LIMIT_PX = 1.0
_PEN = 0.03
_ROUNDING_PX = 0.5  # pens round to whole pixels, in both drawings
_FEW = 16  # marks of which nothing is said
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


def marks(kind: Kind, truth: Array, hw: tuple[int, ...]) -> Array:
    """Where the kind draws this truth, uint8 [H, W]."""
    value = kind.ideal(truth)
    require(np.ndim(value) == len(kind.shape), f"ideal gives {list(np.shape(value))}, the shape is {list(kind.shape)}")
    blank = Image.new("RGB", (hw[1], hw[0]), _GREY)
    drawn = np.asarray(kind.draw(blank, value), np.int16)
    return np.asarray(np.abs(drawn - np.asarray(blank, np.int16)).sum(axis=2) > 0, np.uint8)


def is_cut(marks: Array) -> bool:
    """Whether a drawing reaches the picture's border: what lies beyond is not in it, but may be in the target's."""
    return bool(marks[0].any() or marks[-1].any() or marks[:, 0].any() or marks[:, -1].any())


def compare(name: str, view: View, source: Array, target: Array) -> bool:
    """The target's drawing against the source's, every pixel of which moves with the view: middle and spread.

    Returns:
        Whether there was enough to compare.
    """
    limit = LIMIT_PX + _ROUNDING_PX
    misfits = [_misfit(view, source, target, offset) for offset in (0.5, 0.0)]
    off, stretch = min(misfits)  # Pillow's pens count pixels, masks fill them: half a pixel that both have
    require(off <= limit, f"{name}: the target lies {off:.1f} px from where the pixels moved")
    require(stretch <= limit, f"{name}: the target's extent differs by {stretch:.1f} px from that of the pixels")
    return min(int(source.sum()), int(target.sum())) >= _FEW


def _misfit(view: View, source: Array, target: Array, offset: float) -> tuple[float, float]:
    """Distance of the middles and difference of the spreads in network pixels, over what both frames show.

    A pen's width does not move with the view, so spreads may differ by a little more than places.
    """
    moved, found = view.affine.points(_places(source) + offset), _places(target) + offset
    back, (height, width) = view.affine.inverse().points(found), source.shape
    moved = moved[((moved >= 0) & (moved <= SIDE)).all(axis=1)]
    found = found[((back >= 0) & (back <= (width, height))).all(axis=1)]
    if min(len(moved), len(found)) < _FEW:
        return 0.0, 0.0
    (middle, spread), (other, extent) = _moments(moved), _moments(found)
    pen_px = _PEN * spread[:2].max() + 2 * abs(float(view.affine.lengths(np.array([1.0]))[0]) - 1)
    return float(np.hypot(*(other - middle))), float(np.abs(extent - spread).max() - pen_px)


def _places(marks: Array) -> Array:
    rows, columns = np.nonzero(marks)
    return np.stack([columns, rows], axis=1).astype(np.float64)


def _moments(xy: Array) -> tuple[Array, Array]:
    """Middle [2], and the spread along x and along y and how the two hang together, [3], in pixels."""
    covariance = np.cov(xy.T)
    x, y = math.sqrt(covariance[0, 0]), math.sqrt(covariance[1, 1])
    return xy.mean(axis=0), np.array([x, y, covariance[0, 1] / max(x, y, 1.0)])
