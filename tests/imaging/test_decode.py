import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dermtl.errors import ImageReadError
from dermtl.imaging.decode import read_header, read_image, read_image_for, read_mask, read_size

HW = (24, 40)


def photo(hw: tuple[int, int] = HW) -> Image.Image:
    """A picture without any symmetry; smooth, so that JPEG keeps it within a few levels."""
    y, x = np.mgrid[: hw[0], : hw[1]]
    levels = np.stack([30 + 4 * x, 20 + 7 * y, 200 - 2 * x - 3 * y], axis=-1)
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def stored(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation: int) -> tuple[Image.Image, Image.Exif]:
    """The picture as a camera would store it: upright once ``orientation`` is applied."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what the viewer's transposition takes back
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = photo()
    return (image if orientation == 1 else image.transpose(Image.Transpose(undo[orientation]))), exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "tolerance"), [("JPEG", 6), ("PNG", 0), ("TIFF", 0), ("WEBP", 0)])
def test_orientation_is_applied_in_every_format(orientation: int, form: str, tolerance: float) -> None:
    image, exif = turned(orientation)
    every: dict[str, dict[str, object]] = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = every.get(form, {})
    data = stored(image, form, exif=exif, **options)
    read = read_image(data)
    assert read.shape == (*HW, 3)
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - np.asarray(photo(), int)).max() <= tolerance
    assert read_size(data) == HW


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_turn_as_their_pictures_do(orientation: int) -> None:
    image, exif = turned(orientation)
    mask = read_mask(stored(image.getchannel(0), "PNG", exif=exif))
    assert np.array_equal(mask, np.asarray(photo())[..., 0])


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(form: str) -> None:
    levels = np.linspace(0, 65535, 24 * 40).reshape(HW).astype(np.uint16)
    read = read_image(stored(Image.fromarray(levels), form))
    assert np.array_equal(read[..., 0], np.rint(levels / 257).astype(np.uint8))
    assert np.array_equal(read[..., 0], read[..., 2])


def test_float_pixels_stand_for_shares() -> None:
    levels = np.linspace(0, 1, 24 * 40, dtype=np.float32).reshape(HW)
    assert np.array_equal(read_image(stored(Image.fromarray(levels), "TIFF"))[..., 1], np.rint(levels * 255))
    with pytest.raises(ImageReadError, match=r"expected 0\.\.1"):
        read_image(stored(Image.fromarray(levels * 300), "TIFF"))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_on_black(form: str) -> None:
    image = photo().convert("RGBA")
    alpha = np.zeros(HW, np.uint8)
    alpha[:, 20:] = 255
    image.putalpha(Image.fromarray(alpha))
    read = read_image(stored(image, form, **({"lossless": True} if form == "WEBP" else {})))
    assert (read[:, :20] == 0).all()
    assert np.array_equal(read[:, 20:], np.asarray(photo())[:, 20:])


def test_grey_with_alpha_and_palettes() -> None:
    grey = photo().convert("L")
    layered = grey.copy().convert("LA")
    layered.putalpha(128)
    assert np.abs(read_image(stored(layered, "PNG"))[..., 0] - np.asarray(grey) * (128 / 255)).max() <= 1
    palette = photo().quantize(16)
    assert np.array_equal(read_image(stored(palette, "PNG")), np.asarray(palette.convert("RGB")))
    first = palette.getpixel((0, 0))
    read = read_image(stored(palette, "PNG", transparency=first))
    assert (read[np.asarray(palette) == first] == 0).all()
    assert (read[np.asarray(palette) != first].sum(axis=-1) > 0).all()


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk(form: str) -> None:
    cmyk = photo().convert("CMYK")
    read = read_image(stored(cmyk, form, **({"quality": 98} if form == "JPEG" else {})))
    assert np.abs(read.astype(int) - np.asarray(photo(), int)).mean() < 3


@pytest.mark.parametrize("mode", ["1", "L"])
@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_grey_and_one_bit(mode: str, form: str) -> None:
    image = photo().convert(mode)
    expected = np.asarray(image.convert("L"))
    assert np.array_equal(read_image(stored(image, form)), np.repeat(expected[..., None], 3, 2))
    assert np.array_equal(read_mask(stored(image, form)), expected)


@pytest.mark.filterwarnings("ignore::UserWarning")  # what Pillow says about damaged metadata
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_a_truncated_file_is_named_never_half_read(form: str, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*HW, 3), dtype=np.uint8))
    options = {"lossless": True} if form == "WEBP" else {}
    data = stored(noise, form, **options)
    whole = read_image(data)
    for end in sorted({*range(0, 64), *range(64, len(data) - 1, max(1, len(data) // 60))}):
        path = tmp_path / f"{end}.img"
        path.write_bytes(data[:end])
        try:
            read = read_image(path)
        except ImageReadError as error:
            assert path.name in str(error)  # noqa: PT017
        else:
            assert np.array_equal(read, whole), f"{form} cut at {end} of {len(data)}"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_damage_raises_nothing_but_the_named_fault() -> None:
    rng = np.random.default_rng(1)
    for form in ("JPEG", "PNG", "TIFF", "BMP", "WEBP"):
        data = np.frombuffer(stored(photo(), form), np.uint8)
        for _ in range(60):
            spoilt = data.copy()
            spoilt[rng.integers(0, len(data), 4)] = rng.integers(0, 256, 4)
            for read in (read_image, read_mask, read_size):
                with suppress(ImageReadError):
                    read(spoilt.tobytes(), max_pixels=1_000_000)


def test_the_cap_is_checked_before_decoding() -> None:
    data = stored(Image.new("1", (3000, 2000)), "PNG")
    with pytest.raises(ImageReadError, match=r"3000x2000 pixels are more than the cap of 5000000"):
        read_image(data[:200], max_pixels=5_000_000)
    with pytest.raises(ImageReadError, match="cap"):
        read_size(data, max_pixels=5_000_000)
    bomb = stored(Image.new("1", (14_000, 14_000)), "PNG")
    assert len(bomb) < 60_000
    with pytest.raises(ImageReadError):
        read_image(bomb)


def test_refused_files(tmp_path: Path) -> None:
    frames = [photo(), ImageOps.mirror(photo())]
    for form in ("PNG", "TIFF", "WEBP"):
        with pytest.raises(ImageReadError, match="several frames"):
            read_image(stored(frames[0], form, save_all=True, append_images=frames[1:]))
    with pytest.raises(ImageReadError, match="not one of JPEG"):
        read_image(stored(photo(), "ICO"))
    with pytest.raises(ImageReadError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageReadError, match=str(tmp_path)):
        read_image(tmp_path)
    with pytest.raises(ImageReadError):
        read_image(b"")


def test_masks_keep_their_values_and_refuse_colours() -> None:
    values = np.arange(24 * 40, dtype=np.uint8).reshape(HW) % 7
    assert np.array_equal(read_mask(stored(Image.fromarray(values), "PNG")), values)
    three = Image.fromarray(np.repeat(values[..., None], 3, 2))
    assert np.array_equal(read_mask(stored(three, "PNG")), values)
    wide = Image.fromarray(values.astype(np.uint16))
    assert np.array_equal(read_mask(stored(wide, "PNG")), values)
    with pytest.raises(ImageReadError, match="coloured"):
        read_mask(stored(photo(), "PNG"))
    with pytest.raises(ImageReadError, match="goes to 900"):
        read_mask(stored(Image.fromarray(values.astype(np.uint16) * 150), "PNG"))


def test_a_palette_mask_gives_its_indices() -> None:
    values = (np.arange(24 * 40).reshape(HW) % 3).astype(np.uint8)
    image = Image.fromarray(values)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    assert np.array_equal(read_mask(stored(image, "PNG")), values)


def test_real_originals(shared: Path) -> None:
    files = sorted((shared / "data").glob("*/original/*"))
    assert files
    for path in files:
        image = read_image(path)
        assert image.shape == (*read_size(path), 3)
        assert 5 < image.mean() < 250


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_of_a_phones_jpeg_with_several_frames_the_first_is_read(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    first, second = photo(), photo().transpose(Image.Transpose.ROTATE_180)
    both = stored(first, "MPO", save_all=True, append_images=[second], quality=90, exif=exif)
    alone = stored(first, "JPEG", quality=90, exif=exif)
    assert Image.open(io.BytesIO(both)).n_frames == 2
    assert np.array_equal(read_image(both), read_image(alone))
    assert np.array_equal(read_image_for(both, 8).pixels, read_image_for(alone, 8).pixels)
    assert read_header(both) == read_header(alone)
    assert read_size(both) == read_image(both).shape[:2]
