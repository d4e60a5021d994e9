"""Colour profiles inside picture files: which of them say that the numbers are not sRGB's. Nothing is converted."""

from functools import lru_cache
from io import BytesIO
from typing import Any

from PIL import Image

_NEAR = 0.01  # of a chromaticity: sRGB's own rounding differs by a tenth of it from writer to writer
_SRGB_NAMES = ("srgb", "61966-2", "gray gamma 2.2", "grey gamma 2.2")
_SRGB_SHORT = frozenset({"c2", "c2ci", "srgb"})  # the small profiles of photo services


def foreign_profile(image: Image.Image) -> str:
    """The name of an embedded profile that is not sRGB, or empty."""
    data = image.info.get("icc_profile")
    if not isinstance(data, bytes) or not data or image.mode == "LAB":  # which is no RGB of anybody's
        return ""
    return _foreign(data)


@lru_cache(maxsize=64)
def _foreign(data: bytes) -> str:
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
        return "" if near else f"{name!r}, whose primaries are not sRGB's"
    is_srgb = name.lower() in _SRGB_SHORT or any(word in name.lower() for word in _SRGB_NAMES)
    return "" if is_srgb else repr(name)
