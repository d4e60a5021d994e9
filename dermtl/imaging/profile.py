"""Colour profiles inside picture files: pixels become sRGB, as a browser or a colour-managed viewer shows them."""

from functools import lru_cache
from io import BytesIO
from typing import Any

from PIL import Image

_NEAR = 0.01  # of a chromaticity: sRGB's own rounding differs by a tenth of it from writer to writer
_SRGB_NAMES = ("srgb", "61966-2", "gray gamma 2.2", "grey gamma 2.2")
_SRGB_SHORT = frozenset({"c2", "c2ci", "srgb"})  # the small profiles of photo services
_CONVERTED = frozenset({"RGB", "L", "CMYK"})  # modes that a profile can describe, of 8 bits


def to_srgb(image: Image.Image) -> Image.Image:
    """The picture in sRGB if it brings a profile that says otherwise, and as it is in every other case.

    Args:
        image: Upright; transparency is kept.
    """
    data = _profile(image)
    if data is None or not _foreign(data) or unusable_profile(image):
        return image
    from PIL import ImageCms

    if image.mode == "P" or image.has_transparency_data:
        layers = image.convert("RGBA")
        colours = ImageCms.applyTransform(layers.convert("RGB"), _transform(data, "RGB"))
        assert colours is not None, "not in place"
        colours.putalpha(layers.getchannel("A"))
        return colours
    converted = ImageCms.applyTransform(image, _transform(data, image.mode))
    assert converted is not None, "not in place"
    return converted


def unusable_profile(image: Image.Image) -> str:
    """What is wrong with an embedded profile that is not sRGB and cannot be applied, in words; else empty."""
    data = _profile(image)
    if data is None or not (name := _foreign(data)):
        return ""
    mode = "RGB" if image.mode in ("P", "PA", "RGBA", "RGBa", "LA", "La") else image.mode
    if mode not in _CONVERTED:
        return f"{name}, on greys of more than 8 bits"
    try:
        _transform(data, mode)
    except (ImportError, OSError, ValueError, TypeError) as error:
        return f"{name}, which cannot be applied ({' '.join(str(error).split())})"
    return ""


def _profile(image: Image.Image) -> bytes | None:
    data = image.info.get("icc_profile")
    if not isinstance(data, bytes) or not data or image.mode == "LAB":  # which is no RGB of anybody's
        return None
    return data


@lru_cache(maxsize=64)
def _transform(data: bytes, mode: str) -> Any:
    """Raises: OSError (PyCMSError): the profile is damaged, or one of other channels."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(data))
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except ImageCms.PyCMSError as error:
        raise OSError(str(error)) from error


@lru_cache(maxsize=64)
def _foreign(data: bytes) -> str:
    """The name of a profile that is not sRGB, or empty."""
    try:
        from PIL import ImageCms

        opened = ImageCms.ImageCmsProfile(BytesIO(data))
        name = " ".join(ImageCms.getProfileDescription(opened).split()) or "without a name"
        profile: Any = opened.profile
        known: Any = ImageCms.createProfile("sRGB")
        primaries = [getattr(profile, f"{hue}_primary") for hue in ("red", "green", "blue")]
        expected = [getattr(known, f"{hue}_primary") for hue in ("red", "green", "blue")]
    except (ImportError, OSError, ValueError, TypeError, AttributeError):
        return "that cannot be read"
    if all(primaries):
        pairs = zip(primaries, expected, strict=True)
        near = all(abs(one[1][axis] - other[1][axis]) < _NEAR for one, other in pairs for axis in (0, 1))
        return "" if near else repr(name)
    is_srgb = name.lower() in _SRGB_SHORT or any(word in name.lower() for word in _SRGB_NAMES)
    return "" if is_srgb else repr(name)
