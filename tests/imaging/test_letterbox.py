import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from dermtl.imaging.affine import Affine
from dermtl.imaging.decode import Reduced, read_image, read_image_for
from dermtl.imaging.letterbox import Letterbox
from dermtl.imaging.view import View

letterboxes = st.builds(Letterbox, st.tuples(st.integers(1, 700), st.integers(1, 700)), st.integers(16, 512))
shares = st.floats(0, 1)
quick = settings(deadline=None, max_examples=60)


@given(letterboxes, st.lists(st.tuples(shares, shares), min_size=1, max_size=5))
def test_points_go_there_and_back(box: Letterbox, at: list[tuple[float, float]]) -> None:
    height, width = box.source_hw
    xy = np.array(at) * (width, height)
    network = box.affine.points(xy)
    assert (network >= -1e-6).all()
    assert (network <= box.size + 1e-6).all()
    assert box.points(network) == pytest.approx(xy, abs=1e-3)
    assert box.affine.inverse().points(network) == pytest.approx(xy, abs=1e-6)
    assert box.lengths(box.affine.lengths(np.array([7.0]))) == pytest.approx([7.0])
    assert box.affine.anisotropy == pytest.approx(1)


@quick
@given(letterboxes, shares, shares)
def test_a_drawn_dot_lands_where_the_map_says(box: Letterbox, u: float, v: float) -> None:
    height, width = box.source_hw
    assume(min(height, width) >= 8)  # below, the dot is the picture, and the padding bleeds into it
    radius = max(1, int(np.ceil(box.side / box.size)))
    row, column = int(v * (height - 1)), int(u * (width - 1))
    image = np.zeros((height, width, 3), np.uint8)
    rows = slice(max(row - radius, 0), row + radius + 1)
    columns = slice(max(column - radius, 0), column + radius + 1)
    image[rows, columns] = 255
    true = [
        (columns.start + min(columns.stop, width)) / 2,
        (rows.start + min(rows.stop, height)) / 2,
    ]
    seen = box.apply(image)[..., 0].astype(float)
    y, x = np.mgrid[: box.size, : box.size] + 0.5
    centroid = np.array([(x * seen).sum(), (y * seen).sum()]) / seen.sum()
    expected = box.affine.points(np.array(true))
    reach = max(3.0, 1.5 * box.size / max(height, width))  # an enlarged dot's soft edge is cut off at the border
    near_edge = (expected < reach).any() or (expected > box.size - reach).any()
    assert centroid == pytest.approx(expected, abs=1.0 if near_edge else 0.3)


@quick
@given(letterboxes)
def test_apply_pads_with_black_and_keeps_the_picture(box: Letterbox) -> None:
    height, width = box.source_hw
    seen = box.apply(np.full((height, width, 3), 200, np.uint8))
    assert seen.shape == (box.size, box.size, 3)
    assert seen.dtype == np.uint8
    xy = box.points(np.stack(np.meshgrid(*[np.arange(box.size) + 0.5] * 2), axis=-1))
    reach = max(1.0, box.side / box.size) + 1e-3
    inner = ((xy >= reach) & (xy <= np.array([width, height]) - reach)).all(-1)
    outer = ((xy < -reach) | (xy > np.array([width, height]) + reach)).any(-1)
    assert (np.abs(seen[inner].astype(int) - 200) <= 1).all()
    assert (seen[outer] == 0).all()


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(Letterbox((64, 64), 64).apply(image), image)


@settings(deadline=None, max_examples=25)
@given(st.tuples(st.integers(150, 900), st.integers(150, 900)), st.integers(48, 112), st.integers(1, 8))
def test_a_picture_decoded_in_part_lies_where_the_whole_one_does(hw: tuple[int, int], size: int, turn: int) -> None:
    y, x = np.mgrid[: hw[0], : hw[1]]
    waves = [np.sin(x / 37 + 1), np.cos(y / 53), np.sin((x + 2 * y) / 61)]
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = turn
    pixels = np.stack([128 + 100 * wave for wave in waves], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=97, subsampling=0, exif=exif)
    whole, reduced = read_image(file.getvalue()), read_image_for(file.getvalue(), size)
    assert Letterbox.of(reduced, size) == Letterbox.of(whole, size)
    seen, expected = Letterbox.of(reduced, size).apply(reduced), Letterbox.of(whole, size).apply(whole)
    assert seen.shape == (size, size, 3)
    difference = np.abs(seen.astype(int) - expected)
    assert difference.mean() <= 0.7
    assert difference.max() <= 12, "at the picture's edges, too"


@pytest.mark.parametrize("hw", [(600, 600), (601, 601), (599, 600), (597, 600), (593, 600), (450, 600), (577, 603)])
@pytest.mark.parametrize("level", [0, 255])
def test_edges_are_not_smeared_by_decoding_in_part(hw: tuple[int, int], level: int) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((*hw, 3), level, np.uint8)).save(file, "JPEG", quality=95)
    whole, reduced = read_image(file.getvalue()), read_image_for(file.getvalue(), 64)
    seen, expected = Letterbox.of(reduced, 64).apply(reduced), Letterbox.of(whole, 64).apply(whole)
    assert np.abs(seen.astype(int) - expected).max() <= 12


def test_a_picture_that_came_whole_is_letterboxed_as_ever() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    box = Letterbox((50, 70), 32)
    assert np.array_equal(box.apply(Reduced(image, (50, 70), 1)), box.apply(image))


@quick
@given(st.tuples(st.integers(40, 300), st.integers(40, 300)), st.integers(64, 256))
def test_smooth_values_survive_the_way_to_the_network_and_back(hw: tuple[int, int], size: int) -> None:
    box = Letterbox(hw, size)
    centres = np.arange(size) + 0.5
    x, y = np.meshgrid(centres, centres)
    planes = np.stack([x, y]).astype(np.float32)  # each network pixel holds its own place
    restored = box.raster(planes)
    assert restored.shape == (2, *hw)
    rows, columns = np.mgrid[: hw[0], : hw[1]] + 0.5
    expected = box.affine.points(np.stack([columns, rows], axis=-1))
    error = np.abs(np.moveaxis(restored, 0, -1) - expected)
    assert np.median(error) < 0.15
    assert error.max() <= 0.51 + 0.5 * size / box.side  # the outermost pixels have neighbours on one side only


@quick
@given(st.tuples(st.integers(30, 200), st.integers(30, 200)), st.integers(64, 224), st.integers(0, 9))
def test_labels_survive_where_nothing_is_lost(hw: tuple[int, int], size: int, seed: int) -> None:
    box = Letterbox(hw, max(size, *hw))  # never made smaller: every source pixel is sampled
    labels = np.random.default_rng(seed).integers(0, 4, hw, dtype=np.uint8)
    seen = box.view.raster(labels)
    centres = box.affine.points(np.stack(np.meshgrid(np.arange(hw[1]) + 0.5, np.arange(hw[0]) + 0.5), axis=-1))
    column, row = np.moveaxis(centres.astype(int), -1, 0)
    scale = box.size / box.side
    same = seen[row, column] == labels
    assert same.mean() > 0.999 if scale == 1 else same.mean() > 0.45  # at most half a network pixel away
    assert set(np.unique(seen)) <= {0, 1, 2, 3}


def test_raster_shapes_and_several_leading_axes() -> None:
    box = Letterbox((30, 50), 32)
    assert box.raster(np.zeros((4, 3, 32, 32))).shape == (4, 3, 30, 50)
    assert box.raster(np.ones((1, 32, 32))).dtype == np.float32
    assert box.concat([np.zeros((2, 2)), np.ones((2, 1))]).shape == (2, 3)


@given(
    st.lists(st.floats(-3, 3), min_size=4, max_size=4).filter(lambda a: abs(a[0] * a[3] - a[1] * a[2]) > 0.1),
    st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
)
def test_affine_algebra(a: list[float], b: tuple[float, float]) -> None:
    one = Affine(np.array([[a[0], a[1], b[0]], [a[2], a[3], b[1]]]))
    two = Affine.scaling(0.5, (3, 4))
    xy = np.array([[0.0, 0.0], [10, -3], [2.5, 8]])
    assert one.then(two).points(xy) == pytest.approx(two.points(one.points(xy)))
    assert one.then(one.inverse()).points(xy) == pytest.approx(xy, abs=1e-6)
    assert one.lengths(np.array(1.0)) ** 2 == pytest.approx(abs(a[0] * a[3] - a[1] * a[2]))
    assert one.anisotropy >= 1 - 1e-9


def test_a_bent_view_looks_up_its_own_points() -> None:
    box = Letterbox((20, 20), 20)
    lookup = np.stack(np.meshgrid(np.arange(20) + 0.5, np.arange(20) + 0.5), axis=-1).astype(np.float32)[:, ::-1]
    lookup[0] = np.nan
    view = View(box.affine, 20, (20, 20), bent_px=9.0, lookup_xy=lookup)
    labels = np.arange(1, 401, dtype=np.uint16).reshape(20, 20)
    seen = view.raster(labels)
    assert np.array_equal(seen[1:], labels[1:, ::-1])
    assert (seen[0] == 0).all()


def test_real_pictures_keep_their_tone(shared: Path) -> None:
    for path in sorted((shared / "data" / "ph2" / "images").glob("*"))[:5]:
        image = read_image(path)
        box = Letterbox((image.shape[0], image.shape[1]), 128)
        back = box.raster(np.moveaxis(box.apply(image), -1, 0).astype(np.float32))
        assert back.mean(axis=(1, 2)) == pytest.approx(image.mean(axis=(0, 1)), abs=2)
