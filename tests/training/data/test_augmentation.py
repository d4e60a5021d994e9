"""What the augmentation does to pixels is what its view says, for points, circles and masks alike."""

import warnings
from typing import Any

import numpy as np
import pytest

from dermtl.arrays import Array
from dermtl.errors import AnnotationError, ConfigError
from dermtl.imaging.letterbox import Letterbox
from dermtl.imaging.view import View
from dermtl.kinds import Circle, Mask
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.augmentation_presets import PRESETS

SIZE = 160
SOURCE_HW = (240, 320)
SEEDS = range(25)
GEOMETRIES: dict[str, str | list[dict[str, Any]]] = {
    **{preset: preset for preset in PRESETS},
    "HorizontalFlip": [{"HorizontalFlip": {"p": 1}}],
    "D4": [{"D4": {"p": 1}}],
    "Affine": [
        {"Affine": {"scale": [0.6, 1.5], "translate_percent": [-0.1, 0.1], "rotate": [-90, 90],
                    "keep_ratio": True, "p": 1}}
    ],
    "RandomResizedCrop": [
        {"RandomResizedCrop": {"size": [SIZE, SIZE], "scale": [0.4, 1.0], "ratio": [1.0, 1.0], "p": 1}}
    ],
    "InscribedRotation": [{"InscribedRotation": {"p": 1}}, {"VerticalFlip": {"p": 0.5}}],
    "SafeRotate": [{"SafeRotate": {"limit": [-180, 180], "p": 1}}],
    "nested": [{"OneOf": {"transforms": [{"Transpose": {"p": 1}}, {"Rotate": {"limit": [30, 60], "p": 1}}], "p": 1}}],
    "CoarseDropout": [{"HorizontalFlip": {"p": 0.5}}, {"CoarseDropout": {"p": 1}}],
}  # fmt: skip


def drawn_disc(circle: Array, hw: tuple[int, int]) -> Array:
    """A white disc on black, antialiased, uint8 [H, W]."""
    y, x = np.mgrid[: hw[0], : hw[1]] + 0.5
    distance = np.hypot(x - circle[0], y - circle[1])
    return np.rint(255 * np.clip(circle[2] - distance + 0.5, 0, 1)).astype(np.uint8)


def centroid_and_area(weights: Array) -> tuple[Array, float]:
    """Corner-origin centroid (x, y) and the sum of weights in 0..1."""
    values = weights.astype(np.float64) / 255
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    total = values.sum()
    return np.array([(x * values).sum(), (y * values).sum()]) / total, float(total)


def moved(config: Any, source: Array, seed: int) -> tuple[Array, View]:
    letterbox = Letterbox((source.shape[0], source.shape[1]), SIZE)
    image = letterbox.apply(np.repeat(source[..., None], 3, axis=2))
    return Augmentation(config)(image, letterbox.view, seed, spatial=True)


def is_whole(weights: Array) -> bool:
    """Whether nothing of the disc touches the border."""
    edges = np.concatenate([weights[0], weights[-1], weights[:, 0], weights[:, -1]])
    return bool(edges.max() == 0 and weights.max() > 0)


@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name != "CoarseDropout"])
def test_a_disc_lies_where_the_view_says(name: str) -> None:
    seen = 0
    places = np.random.default_rng(0)
    for seed in SEEDS:
        circle = np.array([places.uniform(110, 210), places.uniform(80, 160), 24.0])
        picture, view = moved(GEOMETRIES[name], drawn_disc(circle, SOURCE_HW), seed)
        weights = picture[..., 1]
        if not is_whole(weights):
            continue
        seen += 1
        # Colours change the disc's brightness: only its place is looked at, on black that stayed black.
        centre, _ = centroid_and_area(np.where(weights > 90, 255, 0))
        assert np.abs(view.affine.points(circle[:2]) - centre).max() <= 1.0, f"seed {seed}"
        assert view.bent_px <= 1.0
    assert seen >= len(SEEDS) // 2


@pytest.mark.parametrize("name", ["HorizontalFlip", "D4"])
def test_exact_moves_are_exact(name: str) -> None:
    circle = np.array([130.0, 90.0, 30.0])
    for seed in SEEDS:
        picture, view = moved(GEOMETRIES[name], drawn_disc(circle, SOURCE_HW), seed)
        centre, _ = centroid_and_area(picture[..., 1])
        np.testing.assert_allclose(view.affine.points(circle[:2]), centre, atol=0.02)
        assert view.affine.anisotropy == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", list(GEOMETRIES))
def test_masks_and_pictures_stay_aligned(name: str) -> None:
    worst = 1.0
    for seed in SEEDS:
        circle = np.array([150.0, 110.0, 60.0])
        source = drawn_disc(circle, SOURCE_HW)
        picture, view = moved(GEOMETRIES[name], source, seed)
        target = Mask().encode((source > 127).astype(np.uint8), view)
        assert target is not None
        seen = picture[..., 1] > 90
        if name == "CoarseDropout":  # hides parts of the picture, never of the truth
            seen |= target.astype(bool) & (picture.max(axis=2) == 0)
        worst = min(worst, (seen & (target > 0)).sum() / (seen | (target > 0)).sum())
    assert worst >= 0.95


@pytest.mark.parametrize("name", ["default", "D4", "Affine", "RandomResizedCrop", "InscribedRotation", "SafeRotate"])
def test_a_circle_keeps_the_area_of_its_disc(name: str) -> None:
    checked = 0
    for seed in SEEDS:
        circle = np.array([160.0, 120.0, 50.0], np.float32)
        source = (drawn_disc(circle, SOURCE_HW) > 127).astype(np.uint8)
        _, view = moved(GEOMETRIES[name], drawn_disc(circle, SOURCE_HW), seed)
        target = Circle(allow_anisotropic=name == "SafeRotate").encode(circle, view)
        mask = view.raster(source)
        if target is None or not is_whole(mask * np.uint8(255)):
            continue
        checked += 1
        assert np.pi * target[2] ** 2 == pytest.approx(mask.sum(), rel=0.04)
        centre, _ = centroid_and_area(mask * np.uint8(255))
        np.testing.assert_allclose(target[:2], centre, atol=0.6)
    assert checked >= 10


@pytest.mark.parametrize(
    "config",
    [
        [{"Affine": {"shear": [15, 15], "p": 1}}],
        [{"ElasticTransform": {"alpha": 300, "sigma": 8, "p": 1}}],
        [{"Perspective": {"scale": [0.15, 0.2], "p": 1}}],
        [{"Affine": {"scale": {"x": [1.3, 1.3], "y": [1, 1]}, "p": 1}}],
    ],
    ids=["shear", "elastic", "perspective", "stretch"],
)
def test_what_makes_ellipses_is_refused_for_circles(config: list[dict[str, Any]]) -> None:
    circle = np.array([160.0, 120.0, 40.0], np.float32)
    source = drawn_disc(circle, SOURCE_HW)
    _, view = moved(config, source, 0)
    with pytest.raises(AnnotationError, match="ellipses") as caught:
        Circle().encode(circle, view)
    assert "allow_anisotropic" in caught.value.hint
    target = Circle(allow_anisotropic=True).encode(circle, view)
    assert target is not None
    if "ElasticTransform" not in config[0]:  # no one map says what that does to a small disc
        area = view.raster((source > 127).astype(np.uint8)).sum()
        assert np.pi * target[2] ** 2 == pytest.approx(area, rel=0.05)


def test_a_mask_follows_where_no_affine_map_can() -> None:
    config = [{"ElasticTransform": {"alpha": 300, "sigma": 8, "p": 1}}]
    source = drawn_disc(np.array([160.0, 120.0, 60.0]), SOURCE_HW)
    picture, view = moved(config, source, 3)
    target = view.raster((source > 127).astype(np.uint8)) > 0
    seen = picture[..., 1] > 127
    assert view.bent_px > 2
    assert (seen & target).sum() / (seen | target).sum() > 0.95


def test_the_seed_says_it_all() -> None:
    source = np.random.default_rng(0).integers(0, 256, SOURCE_HW).astype(np.uint8)
    (first, one), (again, two), (other, _) = (moved("default", source, seed) for seed in (5, 5, 6))
    assert (first == again).all()
    np.testing.assert_array_equal(one.affine.matrix, two.affine.matrix)
    assert (first != other).any()


def test_earlier_calls_leave_no_trace() -> None:
    """A worker that has drawn much gives what a fresh one gives."""
    letterbox = Letterbox((SIZE, SIZE), SIZE)
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    for config in ("default", GEOMETRIES["nested"], GEOMETRIES["CoarseDropout"]):
        used = Augmentation(config)
        for seed in range(5):
            used(image, letterbox.view, seed, spatial=False)
        np.random.seed(1)
        kept, _ = used(image, letterbox.view, 77, spatial=True)
        np.random.seed(2)
        fresh, _ = Augmentation(config)(image, letterbox.view, 77, spatial=True)
        assert (kept == fresh).all()


@pytest.mark.parametrize("spatial", [True, False])
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([{"Resize": {"height": 64, "width": 96}}], "96x64"),
        ([{"ToFloat": {}}], "float32"),
        ([{"ToGray": {"num_output_channels": 1, "p": 1}}], "expected uint8"),
    ],
)
def test_a_wrong_result_is_refused(config: list[dict[str, Any]], message: str, spatial: bool) -> None:
    letterbox = Letterbox((SIZE, SIZE), SIZE)
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    with pytest.raises(ConfigError, match=rf"training\.augmentation.*{message}"):
        Augmentation(config)(image, letterbox.view, 0, spatial=spatial)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("wild", "wild.*none, light, default, strong|default"),
        ([{"HorizontalFlop": {}}], "HorizontalFlop"),
        ([{"Compose": {}}], "Compose"),
        ([{"np": {}}], "np"),
        ([{"HorizontalFlip": {"q": 1}}], "HorizontalFlip"),
        ([{"Affine": {"rotate": "much"}}], "Affine"),
        ([{"HorizontalFlip": {}, "VerticalFlip": {}}], "one name"),
        ([{"OneOf": {"transforms": [{"Flop": {}}]}}], "Flop"),
        ([{"OneOf": {"transforms": 3}}], "OneOf"),
        ([{"HorizontalFlip": 0.5}], "HorizontalFlip"),
        ([{"HorizontalFlip": ["p"]}], "HorizontalFlip"),
    ],
)
def test_a_wrong_config_is_refused(config: Any, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as a user runs it: a warning must not be what refuses
        with pytest.raises(ConfigError, match=message) as caught:
            Augmentation(config, where="x.yaml:3:1")
    assert caught.value.where == "x.yaml:3:1"
