"""Letterboxes never lay out their square where a file of 100 bytes could ask for one of gigabytes."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermtl.arrays import Array
from dermtl.imaging import letterbox
from dermtl.imaging.letterbox import Letterbox
from dermtl.imaging.resize import resize

STRIP = """
import io, resource, sys
import numpy as np
from PIL import Image
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Mask

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)

file = io.BytesIO()
Image.new("RGB", (int(sys.argv[1]), int(sys.argv[2])), (255, 0, 0)).save(file, "PNG")
image = read_image(file.getvalue())
box = Letterbox.of(image, 224)
before = peak_mb()
seen = box.apply(image)
mask = Mask(("a", "b")).restore(np.ones((2, 224, 224), np.float32), box)
assert mask.shape == (2, *image.shape[:2]) and (abs(mask - 1) < 1e-5).all()
assert seen[..., 0].any() and not seen[..., 1:].any()
print(peak_mb() - before)
"""


def laid_out(image: Array, size: int) -> Array:
    """ONNX Runtime's own resize of the whole square."""
    height, width = image.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 3), np.uint8)
    left, top = (side - width) // 2, (side - height) // 2
    square[top : top + height, left : left + width] = image
    return resize(square[None], size)[0]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 500), st.integers(1, 500), st.sampled_from([16, 63, 112, 224, 299]), st.sampled_from([999, 40_000])
)
def test_in_parts_is_the_square_bit_by_bit(height: int, width: int, size: int, chunk: int) -> None:
    image = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(letterbox, "_CHUNK_PX", chunk)
        seen = Letterbox((height, width), size).apply(image)
    assert (seen == laid_out(image, size)).all()


@pytest.mark.parametrize(("height", "width"), [(900, 1), (900, 7), (901, 100), (640, 79)])
@pytest.mark.parametrize("size", [32, 224, 299])
def test_a_strip_is_its_square_to_a_level(height: int, width: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letterbox, "MAX_PIXELS", 1000)  # so that these count as vast
    rng = np.random.default_rng(0)
    for image in (
        rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        rng.integers(0, 2, (height, width, 3), dtype=np.uint8) * 255,
    ):
        gap = np.abs(Letterbox((height, width), size).apply(image).astype(int) - laid_out(image, size))
        assert gap.max() <= 1
        assert (gap > 0).mean() <= 0.01


@pytest.mark.parametrize(("height", "width"), [(900, 1), (7, 900), (901, 400), (640, 640)])
def test_a_mask_of_a_vast_square_comes_back_as_from_the_square(
    height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Letterbox((height, width), 112)
    plane = np.random.default_rng(0).random((112, 112), dtype=np.float32)
    left, top = box.offset_xy
    square = Image.fromarray(plane).resize((box.side, box.side), Image.Resampling.BILINEAR)
    expected = np.asarray(square)[top : top + height, left : left + width]
    assert (box.raster(plane[None])[0] == expected).all()
    monkeypatch.setattr(letterbox, "MAX_PIXELS", 1000)
    np.testing.assert_allclose(box.raster(plane[None])[0], expected, atol=3e-5)


@pytest.mark.parametrize("sides", [(20000, 1), (1, 20000)])
def test_a_strip_takes_megabytes(sides: tuple[int, int]) -> None:
    command = [sys.executable, "-c", STRIP, *map(str, sides)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 150
