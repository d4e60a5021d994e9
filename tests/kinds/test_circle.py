from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import AnnotationError
from dermtl.imaging.affine import Affine
from dermtl.imaging.letterbox import Letterbox
from dermtl.imaging.view import View
from dermtl.kinds import Circle, Mask, Record
from dermtl.kinds.circle import equal_area_circle

SIZE = 256


def disc(hw: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: hw[0], : hw[1]] + 0.5
    return np.asarray(np.hypot(columns - x, rows - y) <= radius, np.uint8)


def similarity(box: Letterbox, angle: float, scale: float, mirrored: bool) -> View:
    """The letterbox, then turned, scaled and perhaps mirrored about the centre of the network frame."""
    c, s, half = np.cos(angle) * scale, np.sin(angle) * scale, box.size / 2
    linear = np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    about = Affine(np.hstack([linear, (np.full(2, half) - linear @ np.full(2, half))[:, None]]))
    return View(box.affine.then(about), box.size, box.source_hw)


def record(tmp_path: Path, **cells: str) -> Record:
    Image.new("L", (80, 60)).save(tmp_path / "x.png")
    return Record("x.png", tmp_path, cells, "m.csv:9")


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(180, 400), st.integers(180, 400)),
    st.floats(0, 2 * np.pi),
    st.floats(0.7, 1.2),
    st.booleans(),
    st.floats(0.12, 0.25),
    st.tuples(st.floats(0.45, 0.55), st.floats(0.45, 0.55)),
)
def test_a_circle_moves_with_its_disc(
    hw: tuple[int, int], angle: float, scale: float, mirrored: bool, share: float, at: tuple[float, float]
) -> None:
    box = Letterbox(hw, SIZE)
    view = similarity(box, angle, scale, mirrored)
    circle = np.array([at[0] * hw[1], at[1] * hw[0], share * min(hw)], np.float32)
    target = Circle().encode(circle, view)
    assert target is not None
    seen = equal_area_circle(view.raster(disc(hw, *circle)))
    assert seen == pytest.approx(target, abs=1.0)


@given(st.tuples(st.integers(50, 900), st.integers(50, 900)), st.floats(0, 1), st.floats(0, 1), st.floats(0.02, 0.6))
def test_restore_undoes_encode(hw: tuple[int, int], u: float, v: float, share: float) -> None:
    box = Letterbox(hw, SIZE)
    circle = np.array([u * hw[1], v * hw[0], share * min(hw)], np.float32)
    target = Circle().encode(circle, box.view)
    assert target is not None, "a letterbox loses no circle"
    assert Circle().restore(target, box) == pytest.approx(circle, abs=1e-2)
    both = Circle().restore(np.stack([target, target * 0.5]), box)
    assert both.shape == (2, 3)
    assert both[1] == pytest.approx(Circle().restore(target * 0.5, box), abs=1e-3)


def test_views_that_bend_circles_are_refused() -> None:
    circle = np.array([128.0, 128, 40], np.float32)
    stretched = View(Affine(np.array([[1.1, 0, 0], [0, 1, 0]])), SIZE, (SIZE, SIZE))
    bent = View(Affine.scaling(1.0), SIZE, (SIZE, SIZE), bent_px=4.0)
    for view in (stretched, bent):
        with pytest.raises(AnnotationError, match=r"ellipses.*allow_anisotropic"):
            Circle().encode(circle, view)
    kept = Circle(allow_anisotropic=True).encode(circle, stretched)
    assert kept == pytest.approx([140.8, 128, 40 * np.sqrt(1.1)])
    assert kept is not None
    nearly = View(Affine(np.array([[1.01, 0, 0], [0, 1, 0]])), SIZE, (SIZE, SIZE), bent_px=0.5)
    assert Circle().encode(circle, nearly) is not None


@pytest.mark.parametrize(("shift", "kept"), [(0, True), (60, True), (126, False), (150, False)])
def test_a_circle_that_has_left_the_view_is_lost(shift: float, kept: bool) -> None:
    view = View(Affine.scaling(1.0, (shift, 0)), SIZE, (SIZE, SIZE))
    target = Circle().encode(np.array([128, 128, 60], np.float32), view)
    assert (target is not None) == kept


def test_reading(tmp_path: Path) -> None:
    kind = Circle()
    read = kind.read(record(tmp_path, cx="40.5", cy="30", r="9"))
    assert read is not None
    assert read.dtype == np.float32
    assert read.tolist() == [40.5, 30, 9]
    assert kind.read(record(tmp_path, cx="", cy=" ", r="")) is None
    assert kind.read(record(tmp_path, cx="0", cy="60", r="500")) is not None  # may reach beyond the border


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"cx": "40", "cy": "30", "r": ""}, "all of cx, cy, r or none"),
        ({"cx": "40", "cy": "30", "r": "0"}, "radius above 0, got 0"),
        ({"cx": "40", "cy": "30", "r": "-3"}, "radius above 0, got -3"),
        ({"cx": "81", "cy": "30", "r": "3"}, r"\(81, 30\) lies outside the image of 80x60"),
        ({"cx": "40", "cy": "-1", "r": "3"}, "outside"),
        ({"cx": "40", "cy": "x", "r": "3"}, "expected a number, got 'x'"),
        ({"cx": "40", "cy": "3"}, "no column 'r'"),
    ],
)
def test_faults_name_the_row(tmp_path: Path, cells: dict[str, str], words: str) -> None:
    with pytest.raises(AnnotationError, match=rf"m\.csv:9: .*{words}"):
        Circle().read(record(tmp_path, **cells))


def test_a_circle_from_a_mask(tmp_path: Path) -> None:
    Image.fromarray(disc((60, 80), 33.0, 21.0, 15.0) * 255).save(tmp_path / "m.png")
    circle = Circle(mask="mask").read(record(tmp_path, mask="m.png"))
    assert circle == pytest.approx([33, 21, 15], abs=0.1)
    assert Circle(mask="mask").read(record(tmp_path, mask="")) is None


def test_a_noisy_mask_gives_the_same_region_to_both_kinds(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 9, (60, 80), dtype=np.uint8)
    Image.fromarray(np.where(disc((60, 80), 33.0, 21.0, 15.0) > 0, 255 - noise, noise)).save(tmp_path / "m.png")
    row = record(tmp_path, mask="m.png")
    region = Mask().read(row)
    assert region is not None
    assert Circle(mask="mask").read(row) == pytest.approx(equal_area_circle(region))


def test_real_circles_fit_their_masks(shared: Path) -> None:
    records = read_manifest(Data(root=shared / "data" / "ph2", manifest="labels.csv"))
    for one in records[:30]:
        assert Circle(mask="mask").read(one) == pytest.approx(Circle().read(one), abs=0.2)
