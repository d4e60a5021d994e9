"""Formats beside JPEG, PNG, BMP and WebP, and colour profiles: each against a reader that is not Pillow, or by hand."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from dermtl.errors import ImageReadError, MissingExtra
from dermtl.imaging.decode import read_header, read_image, read_mask, read_size
from dermtl.imaging.formats import FORM_BY_SUFFIX, sniff

Y, X = np.mgrid[:48, :64]
PIXELS = np.stack([X * 4, Y * 5, 255 - X * 2 - Y], axis=-1).astype(np.uint8)
DEEP = (X * 1000 + Y * 30).astype(np.uint16)


def stored(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def near(pixels: np.ndarray, expected: np.ndarray, levels: int = 0) -> bool:
    return pixels.shape == expected.shape and int(np.abs(pixels.astype(int) - expected).max()) <= levels


def test_jpeg_2000_as_openjpeg_and_imagecodecs_read_it() -> None:
    codecs = pytest.importorskip("imagecodecs")
    for data in (stored(Image.fromarray(PIXELS), "JPEG2000"), codecs.jpeg2k_encode(PIXELS, level=0, codecformat="j2k")):
        assert sniff(data[:132]) == read_header(data).form == "JPEG2000"
        assert near(read_image(data), codecs.jpeg2k_decode(data))
    deep = codecs.jpeg2k_encode(DEEP, level=0)
    assert np.array_equal(codecs.jpeg2k_decode(deep), DEEP)
    assert near(read_image(deep)[..., 0], np.rint(DEEP / 257))


def test_gif_of_one_frame() -> None:
    image = Image.fromarray(PIXELS).quantize(64)
    data = stored(image, "GIF")
    cv2 = pytest.importorskip("cv2")
    shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert near(read_image(data), shown)
    several = stored(image, "GIF", save_all=True, append_images=[image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    with pytest.raises(ImageReadError, match="several frames"):
        read_image(several)


def test_portable_anymaps_by_hand() -> None:
    grey = PIXELS[..., 0]
    assert near(read_image(b"P5\n64 48\n255\n" + grey.tobytes())[..., 0], grey)
    assert np.array_equal(read_mask(b"P5\n64 48\n255\n" + grey.tobytes()), grey)
    assert near(read_image(b"P6\n# a comment\n64 48\n255\n" + PIXELS.tobytes()), PIXELS)
    assert near(read_image(b"P5\n64 48\n65535\n" + DEEP.astype(">u2").tobytes())[..., 0], np.rint(DEEP / 257))
    twelve = (DEEP // 16).astype(">u2")
    assert near(read_image(b"P5\n64 48\n4095\n" + twelve.tobytes())[..., 0], np.rint(twelve * (255 / 4095)), 1)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_as_imagecodecs_reads_it() -> None:
    data = stored(Image.fromarray(PIXELS), "AVIF", quality=90)
    assert sniff(data[:132]) == read_header(data).form == "AVIF"
    codecs = pytest.importorskip("imagecodecs")
    if not getattr(codecs, "AVIF", None) or not codecs.AVIF.available:
        pytest.skip("this imagecodecs was built without AVIF")
    assert near(read_image(data), codecs.avif_decode(data), 3)


def test_heic_of_a_phone_is_upright_and_in_srgb(tmp_path: Path) -> None:
    """Stored lying down with EXIF orientation 6, as phones write it; the drawn pixels are the witness."""
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    made = heif.from_pillow(Image.fromarray(PIXELS))
    path = tmp_path / "IMG_1.HEIC"
    made.save(path, quality=100, chroma=444, exif=exif.tobytes())
    assert sniff(path.read_bytes()[:132]) == read_header(path).form == "HEIF"
    pixels = read_image(path)
    assert read_size(path) == pixels.shape[:2] == (64, 48)
    assert np.abs(pixels.astype(int) - np.rot90(PIXELS, -1)).mean() < 2


def test_heic_without_the_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtra, match=r"dermtl\[heic\]"):
        read_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))


def exchanged() -> bytes:
    """sRGB's profile with the primaries red and blue exchanged: what it says of (r, g, b) is sRGB's (b, g, r)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.find(b"rXYZ"), profile.find(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize(("form", "levels"), [("PNG", 1), ("TIFF", 1), ("JPEG", 12)])
def test_a_profile_is_applied(form: str, levels: int) -> None:
    smooth = Image.fromarray(PIXELS)
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
    got = read_image(stored(smooth, form, icc_profile=exchanged(), **options))
    assert near(got, PIXELS[..., ::-1], levels)
    assert read_header(stored(smooth, form, icc_profile=exchanged())).profile == ""


def test_a_profile_is_applied_below_transparency_and_to_a_palette() -> None:
    alpha = np.where(X < 32, 255, 0).astype(np.uint8)
    layers = Image.fromarray(np.dstack([PIXELS, alpha]))
    expected = np.where(alpha[..., None] > 0, PIXELS[..., ::-1], 0)
    assert near(read_image(stored(layers, "PNG", icc_profile=exchanged())), expected, 1)
    indexed = Image.fromarray(PIXELS).quantize(16)
    shown = np.asarray(indexed.convert("RGB"))[..., ::-1]
    assert near(read_image(stored(indexed, "PNG", icc_profile=exchanged())), shown, 1)


def test_srgb_and_broken_profiles_change_no_pixel() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"none", exchanged()[:200]):
        assert near(read_image(stored(Image.fromarray(PIXELS), "PNG", icc_profile=profile)), PIXELS)
    assert "cannot be read" in read_header(stored(Image.fromarray(PIXELS), "PNG", icc_profile=b"none")).profile


def test_every_suffix_is_told_by_its_first_bytes() -> None:
    for form in set(FORM_BY_SUFFIX.values()) - {"DICOM", "HEIF"}:
        if form != "AVIF" or features.check("avif"):
            assert sniff(stored(Image.fromarray(PIXELS), form)[:132]) == form
