from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from dermtl.errors import ImageReadError
from dermtl.imaging.decode import read_image, read_mask

SHAPE = np.zeros((12, 16), bool)
SHAPE[3:9, 5:11] = True


def stored(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def seen(data: bytes) -> np.ndarray:
    """What another reader shows, as grey."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


def indexed(indices: np.ndarray, palette: list[int]) -> bytes:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(palette)
    return stored(image)


@pytest.mark.parametrize(
    ("indices", "palette"),
    [
        (~SHAPE, [255, 255, 255, 0, 0, 0]),
        (SHAPE, [0, 0, 0, 255, 255, 255]),
        (SHAPE + 2, [9, 9, 9, 8, 8, 8, 0, 0, 0, 255] + [255] * 2),
    ],
)
def test_a_grey_palette_is_what_a_viewer_shows(indices: np.ndarray, palette: list[int]) -> None:
    data = indexed(indices, palette)
    assert np.array_equal(read_mask(data), seen(data))
    assert np.array_equal(read_mask(data) == 255, SHAPE)
    assert np.array_equal(read_mask(data, is_numbered=True), indices), "numbers of classes by the mask's declaration"


def test_what_a_quantiser_wrote_is_what_a_viewer_shows() -> None:
    data = stored(Image.fromarray(np.where(SHAPE, 255, 0).astype(np.uint8)).convert("RGB").quantize(2))
    assert np.array_equal(read_mask(data) > 127, SHAPE)


def test_a_palette_of_colours_is_a_key_to_numbers_if_its_first_is_black() -> None:
    voc = [0, 0, 0, 128, 0, 0, 0, 128, 0]
    assert np.array_equal(read_mask(indexed(SHAPE, voc)), SHAPE)
    with pytest.raises(ImageReadError, match="which one is background"):
        read_mask(indexed(SHAPE, [200, 0, 0, 0, 128, 0]))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_white_of_sixteen_bits_is_white(form: str) -> None:
    data = stored(Image.fromarray(np.where(SHAPE, 65535, 0).astype(np.uint16)), form)
    assert np.array_equal(read_mask(data), np.where(SHAPE, 255, 0))


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_whole_numbers_of_any_type(kind: type) -> None:
    assert np.array_equal(read_mask(stored(Image.fromarray(SHAPE.astype(kind)), "TIFF")), SHAPE)
    assert np.array_equal(read_mask(stored(Image.fromarray(SHAPE.astype(kind) * 255), "TIFF")), SHAPE * 255)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (SHAPE.astype(np.float32) * 0.9, "fractions"),
        (np.where(SHAPE, np.nan, 0).astype(np.float32), "fractions or NaN"),
        (np.where(SHAPE, -1, 0).astype(np.int32), "this one has -1"),
        (np.where(SHAPE, -1, 0).astype(np.float32), "this one has -1"),
        (np.where(SHAPE, 4095, 0).astype(np.uint16), "goes to 4095"),
        (np.where(SHAPE, 300, 0).astype(np.float32), "goes to 300"),
    ],
)
def test_what_would_wrap_or_be_cut_off_is_refused(values: np.ndarray, words: str) -> None:
    with pytest.raises(ImageReadError, match=words):
        read_mask(stored(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_background(mode: str) -> None:
    white, alpha = np.full(SHAPE.shape, 255, np.uint8), np.where(SHAPE, 255, 0).astype(np.uint8)
    layers = [white, alpha] if mode == "LA" else [white, white, white, alpha]
    assert np.array_equal(read_mask(stored(Image.fromarray(np.dstack(layers)))), alpha)
    opaque = [alpha, white] if mode == "LA" else [alpha, alpha, alpha, white]
    assert np.array_equal(read_mask(stored(Image.fromarray(np.dstack(opaque)))), alpha)
    black = [white * 0, alpha] if mode == "LA" else [white * 0, white * 0, white * 0, alpha]
    with pytest.raises(ImageReadError, match="in the transparency"):
        read_mask(stored(Image.fromarray(np.dstack(black))))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (SHAPE.astype(np.int32) * 200 - 100, "from -100 to 100, expected 0..65535"),
        (SHAPE.astype(np.float32) * 255, "from 0 to 255, expected 0..1"),
        (np.where(SHAPE, np.nan, 0).astype(np.float32), "from nan to nan"),
    ],
)
def test_a_range_is_told_as_one_and_not_as_damage(values: np.ndarray, words: str) -> None:
    with pytest.raises(ImageReadError, match=words) as caught:
        read_image(stored(Image.fromarray(values), "TIFF"))
    assert "damaged" not in str(caught.value)
    assert "without sign" in caught.value.hint
