"""Where the kit sees a target to lie: right ones pass at one pixel, those a little off do not."""

from dataclasses import dataclass

import numpy as np
import pytest

from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Circle, Mask, Points
from dermtl.testing.geometry import SIDE, compare, views

SIZES_HW = [(160, 318), (400, 300), (1200, 1600)]


@dataclass(frozen=True)
class Off(Circle):
    """A circle whose target is moved, and larger, by pixels of the network frame."""

    by: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def encode(self, annotation, view):
        target = super().encode(annotation, view)
        return None if target is None else target + np.float32(self.by)


@dataclass(frozen=True)
class OffMask(Mask):
    """An outline whose target is moved by pixels of the network frame."""

    by: int = 0

    def encode(self, annotation, view):
        return np.roll(super().encode(annotation, view), self.by, axis=1)


def disc(size_hw):
    """A circle in the picture's middle part."""
    height, width = size_hw
    return np.array([0.45 * width, 0.55 * height, 0.21 * min(size_hw)], np.float32)


def filled(size_hw):
    x, y, radius = disc(size_hw)
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    return ((columns - x) ** 2 + ((rows - y) * 0.7) ** 2 <= radius**2).astype(np.uint8)


def judged(kind, annotation, size_hw):
    """What is said of every view; empty where all is well."""
    said = []
    for name, view in views(Letterbox(size_hw, SIDE).view).items():
        try:
            assert compare(name, view, kind, annotation, kind.encode(annotation, view))
        except AssertionError as error:
            said.append(str(error) or f"{name}: nothing to compare")
    return said


@pytest.mark.parametrize("size_hw", SIZES_HW)
def test_what_moves_with_the_pixels_passes(size_hw):
    circle = disc(size_hw)
    assert not judged(Circle(), circle, size_hw)
    assert not judged(Mask(), filled(size_hw), size_hw)
    assert not judged(Points(("one",)), circle[None, :2], size_hw)
    assert not judged(Points(("one", "other")), np.stack([circle[:2], circle[:2] + circle[2]]), size_hw)


@pytest.mark.parametrize("size_hw", SIZES_HW)
@pytest.mark.parametrize(
    ("by", "words"),
    [((1.5, 0, 0), "the target lies"), ((0, -1.5, 0), "the target lies"), ((0, 0, 1.5), "the target's extent"),
     ((0, 0, -1.5), "the target's extent")],
)  # fmt: skip
def test_a_circle_that_is_a_pixel_and_a_half_off_does_not(by, words, size_hw):
    said = judged(Off(by=by), disc(size_hw), size_hw)
    assert len(said) == 7
    assert all(words in line for line in said), said


@pytest.mark.parametrize("by", [2, -2])
def test_an_outline_that_is_two_pixels_off_does_not(by):
    size_hw = SIZES_HW[0]
    assert len(judged(OffMask(by=by), filled(size_hw), size_hw)) == 7
