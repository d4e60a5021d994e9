"""The largest upright rectangle inside a turned one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.imaging.letterbox import Letterbox
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.inscribed_rectangle import inscribed_wh

sides = st.floats(1, 1000)
angles = st.floats(0, 2 * math.pi)


def reach(width: float, height: float, angle: float, ratio: float) -> float:
    """Width of the largest upright rectangle of height / width = ``ratio`` inside: every corner must be in."""
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    return min(width / (cosine + ratio * sine), height / (sine + ratio * cosine))


@given(sides, sides, angles)
def test_it_lies_inside_and_none_is_larger(width: float, height: float, angle: float) -> None:
    wide, high = inscribed_wh(width, height, angle)
    assert wide > 0
    assert high > 0
    assert wide <= reach(width, height, angle, high / wide) * (1 + 1e-6)
    ratios = np.geomspace(1e-3, 1e3, 601)
    best = max(ratio * reach(width, height, angle, ratio) ** 2 for ratio in ratios)
    assert best <= wide * high * (1 + 1e-6)


@given(sides, sides, angles)
def test_turning_the_other_way_or_swapping_sides_changes_nothing(width: float, height: float, angle: float) -> None:
    wide, high = inscribed_wh(width, height, angle)
    assert inscribed_wh(width, height, -angle) == pytest.approx((wide, high))
    assert inscribed_wh(height, width, angle) == pytest.approx((high, wide), rel=1e-6)


@pytest.mark.parametrize(("size", "mean", "worst"), [((1, 1), 0.637, 0.5), ((4, 3), 0.572, 0.375)])
def test_the_share_that_is_kept(size: tuple[int, int], mean: float, worst: float) -> None:
    """Published nowhere; computed by brute force over the whole degrees."""
    kept = [math.prod(inscribed_wh(*size, math.radians(degree))) / math.prod(size) for degree in range(360)]
    assert np.mean(kept) == pytest.approx(mean, abs=5e-4)
    assert min(kept) == pytest.approx(worst, abs=1e-3)


@pytest.mark.parametrize("hw", [(200, 200), (150, 200), (200, 90), (97, 200)])
def test_the_crop_holds_only_picture(hw: tuple[int, int]) -> None:
    """What is not black is one upright, centred rectangle that fills the square one way, and it is all picture."""
    turned = Augmentation([{"InscribedRotation": {"p": 1}}])
    letterbox = Letterbox(hw, 120)
    white = letterbox.apply(np.full((*hw, 3), 255, np.uint8))
    shapes = set()
    for seed in range(40):
        picture, _ = turned(white, letterbox.view, seed, spatial=False)
        lit = picture[..., 0] > 0
        rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
        shapes.add((len(rows), len(columns)))
        assert max(len(rows), len(columns)) >= 118
        assert rows[0] + rows[-1] == pytest.approx(119, abs=1)
        assert columns[0] + columns[-1] == pytest.approx(119, abs=1)
        inside = picture[rows[0] + 4 : rows[-1] - 3, columns[0] + 4 : columns[-1] - 3]  # the border is blended
        assert inside.min() >= 250
    assert len(shapes) > 1 or hw[0] == hw[1]


def test_every_whole_degree_may_come_and_no_other() -> None:
    """A quarter turn is drawn about once in 90 draws; then pixels are only permuted."""
    turned = Augmentation([{"InscribedRotation": {"p": 1}}])
    letterbox = Letterbox((32, 32), 32)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    quarters = [np.rot90(image, k) for k in range(4)]
    drawn = [turned(image, letterbox.view, seed, spatial=False)[0] for seed in range(1500)]
    seen = [k for k, quarter in enumerate(quarters) if any((picture == quarter).all() for picture in drawn)]
    assert seen == [0, 1, 2, 3]
    assert len({picture.tobytes() for picture in drawn}) <= 360
