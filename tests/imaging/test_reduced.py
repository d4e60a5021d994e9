import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermtl.imaging.decode import read_image, read_image_for


def smooth(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 37 + 1), np.cos(y / 53), np.sin((x + 2 * y) / 61)]
    return Image.fromarray(np.stack([128 + 100 * wave for wave in waves], axis=-1).astype(np.uint8))


def stored(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **{"quality": 97, "subsampling": 0, **options} if form == "JPEG" else options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("width", "height", "size", "scale"),
    [(447, 300, 224, 1), (896, 300, 224, 2), (895, 900, 224, 2), (2000, 1000, 224, 4), (1000, 4000, 224, 8)],
)
def test_the_longer_side_keeps_twice_the_target(width: int, height: int, size: int, scale: int) -> None:
    reduced = read_image_for(stored(smooth(width, height)), size)
    assert reduced.scale == scale
    assert reduced.size_hw == (height, width)
    assert reduced.pixels.shape == (-(-height // scale), -(-width // scale), 3)
    assert max(reduced.pixels.shape) >= min(2 * size, max(width, height))


@settings(max_examples=25, deadline=None)
@given(width=st.integers(300, 700), height=st.integers(300, 700), orientation=st.integers(1, 8))
def test_reduced_pixels_lie_where_the_source_says(width: int, height: int, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = stored(smooth(width, height), exif=exif)
    whole, reduced = read_image(data).astype(float), read_image_for(data, 60)
    assert reduced.size_hw == whole.shape[:2]
    scale, (height, width) = reduced.scale, reduced.size_hw
    assert reduced.pixels.shape[:2] == (-(-height // scale), -(-width // scale))
    rows, columns = height // scale, width // scale
    blocks = whole[: rows * scale, : columns * scale].reshape(rows, scale, columns, scale, 3).mean(axis=(1, 3))
    assert np.abs(blocks - reduced.pixels[:rows, :columns]).mean() < 1.5


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "WEBP"])
def test_other_formats_come_whole(form: str) -> None:
    data = stored(smooth(500, 400), form)
    reduced = read_image_for(data, 32)
    assert reduced.scale == 1
    assert np.array_equal(reduced.pixels, read_image(data))


def test_greys_and_cmyk_are_reduced_too() -> None:
    for mode in ("L", "CMYK"):
        data = stored(smooth(640, 480).convert(mode))
        reduced = read_image_for(data, 80)
        assert (reduced.scale, reduced.pixels.shape) == (4, (120, 160, 3))
        assert abs(read_image(data).mean() - reduced.pixels.mean()) < 1


def test_real_originals_shrink_alike(shared: Path) -> None:
    for path in sorted((shared / "data").glob("*/original/*.jpg")):
        whole, reduced = read_image(path), read_image_for(path, 100)
        assert reduced.size_hw == whole.shape[:2]
        if whole.shape[0] % reduced.scale or whole.shape[1] % reduced.scale:
            continue
        small = [
            Image.fromarray(pixels).resize((100, 80), Image.Resampling.BILINEAR) for pixels in (whole, reduced.pixels)
        ]
        assert np.abs(np.asarray(small[0], int) - np.asarray(small[1], int)).mean() < 0.7
