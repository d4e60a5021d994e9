"""The letterbox of the graph is the host's: bit by bit; the way back is the host's to rounding."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dermtl.export.graph import Graph, TensorFrame
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Category, Kind

sides = st.integers(2, 400)
sizes = st.integers(16, 160)


def gap(image: np.ndarray, size: int) -> int:
    """Largest difference between the two in levels."""
    height, width = image.shape[:2]
    inside = TensorFrame(height, width, size).apply(torch.from_numpy(image.copy())[None])[0].permute(1, 2, 0).numpy()
    return int(np.abs(inside - Letterbox((height, width), size).apply(image)).max())


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, size=sizes, seed=st.integers(0, 9), steep=st.booleans())
def test_random_pictures(height, width, size, seed, steep):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if steep:
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    assert gap(image, size) == 0


@pytest.mark.parametrize("name", ["ham10000_224", "isic_uda1", "ph2", "idrid_codras", "bccd", "busi", "natural_photos"])
def test_photographs(shared: Path, name: str):
    paths = sorted((shared / "data" / name).rglob("*.jpg"))
    pictures = [read_image(path) for path in paths[:: max(1, len(paths) // 8)]]
    assert all(gap(picture, size) == 0 for picture in pictures for size in (96, 224))


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, size=sizes, seed=st.integers(0, 9))
def test_the_way_back(height, width, size, seed):
    random = np.random.default_rng(seed)
    frame, letterbox = TensorFrame(height, width, size), Letterbox((height, width), size)
    xy, radii = random.uniform(-size, 2 * size, (2, 5, 2)).astype(np.float32), random.random(4, np.float32) * size
    close = {"rtol": 1e-5, "atol": 1e-3}
    np.testing.assert_allclose(frame.points(torch.from_numpy(xy)).numpy(), letterbox.points(xy), **close)
    np.testing.assert_allclose(frame.lengths(torch.from_numpy(radii)).numpy(), letterbox.lengths(radii), **close)
    planes = random.random((2, 3, size, size), np.float32)
    restored = frame.raster(torch.from_numpy(planes)).numpy()
    assert restored.shape == (2, 3, height, width)
    np.testing.assert_allclose(restored, letterbox.raster(planes), atol=2e-5)


@dataclass(frozen=True)
class Pixels(Kind):
    """What the network sees, as it is."""

    kind: ClassVar[str] = "pixels"
    size: int = 40

    read = Category.read
    to_json = Category.to_json
    columns = Category.columns
    draw = Category.draw

    @property
    def shape(self):
        return 3, self.size, self.size


class Looking(torch.nn.Module):
    """In the network's place: shows its input."""

    def forward(self, image):
        return {"seen": image}

    def activate(self, raw):
        return {"seen.pixels": raw["seen"] / 1}


@pytest.mark.slow
def test_in_onnxruntime(shared: Path, draw_blocks: Callable[..., np.ndarray]):
    onnxruntime = pytest.importorskip("onnxruntime")
    from dermtl.export.onnx_file import to_onnx
    from dermtl.runtime.bundle import Bundle

    kinds = {"seen.pixels": Pixels()}
    bundle = Bundle("looking", 40, (0.0,) * 3, (1.0,) * 3, kinds, {"seen": {}})
    session = onnxruntime.InferenceSession(to_onnx(Graph(Looking(), kinds, 40), bundle, size=40))
    pictures = [
        draw_blocks(height, width)[0] for height, width in ((2, 2), (2, 399), (300, 7), (40, 40), (41, 39), (203, 117))
    ]
    pictures += [read_image(path) for path in sorted((shared / "data" / "isic_uda1").rglob("*.jpg"))[::40]]
    for picture in pictures:
        (seen,) = session.run(None, {"image": picture[None]})
        expected = Letterbox(picture.shape[:2], 40).apply(picture)
        assert np.array_equal(seen[0].transpose(1, 2, 0), expected), picture.shape
