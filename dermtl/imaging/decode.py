"""The only place that turns files into pixels: training, evaluation, prediction and serving all read here.

The header is read first and the number of pixels is capped before anything is decoded. EXIF orientation is applied;
16-bit greys are scaled, never clipped; colours with an embedded profile become sRGB; transparency is composited on
black; of a phone's JPEG or HEIC with several frames the first is read; other files of several frames, truncated data
and unlisted formats are refused with an :class:`~dermtl.errors.ImageReadError`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from dermtl.arrays import Array
from dermtl.errors import ImageFault, ImageReadError
from dermtl.imaging.depth import is_wide
from dermtl.imaging.dicom import is_dicom, read_dicom, read_dicom_header
from dermtl.imaging.formats import FORMATS, SUFFIXES
from dermtl.imaging.header import FAULTS, MAX_PIXELS, MAX_SIDE_PX, Header, Source, open_picture, place
from dermtl.imaging.levels import label_values
from dermtl.imaging.profile import to_srgb
from dermtl.imaging.tiff import read_planes

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "MAX_SIDE_PX",
    "SUFFIXES",
    "Reduced",
    "read_header",
    "read_image",
    "read_image_for",
    "read_mask",
    "read_size",
]
_NARROW = 4  # both bands of padding together in pixels of the target: below, the letterbox reaches across one
_SPARE = 2  # a reduced picture keeps this many pixels a pixel of the target, so that the letterbox still smooths


@dataclass(frozen=True)
class Reduced:
    """A picture decoded at a part of its size.

    Attributes:
        pixels: uint8 [ceil(H / scale), ceil(W / scale), 3], RGB, upright; pixel (i, j) covers the source's square from
            (i * scale, j * scale) on, and the last row and column may reach beyond the picture.
        size_hw: Height and width H, W of the upright source in pixels.
        scale: 1, 2, 4 or 8 source pixels a pixel.
    """

    pixels: Array
    size_hw: tuple[int, int]
    scale: int


def read_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> Array:
    """Decode a picture.

    Args:
        source: A path, or the bytes of a file.
        max_pixels: Refuse more pixels than this.

    Returns:
        uint8 [H, W, 3], RGB, upright.

    Raises:
        ImageReadError: The file is missing, damaged, too large or of a refused format.
        MissingExtra: The file is DICOM and pydicom is not installed, or HEIC and pillow-heif is not installed.
    """
    if is_dicom(source):
        return read_dicom(source, place(source), max_pixels)
    with _decoding(source, max_pixels) as (image, header):
        return _to_rgb(image, header, source)


def read_image_for(source: Source, size: int, *, max_pixels: int = MAX_PIXELS) -> Reduced:
    """Decode a picture that will be made as small as ``size``; a large JPEG only in as many pixels as that needs.

    A JPEG's blocks can be decoded at a half, a quarter or an eighth of their size, for a part of the time. The longer
    side stays at least twice ``size``; pictures below that, and other formats, come whole. So do some that would not
    lie in the letterbox exactly: turned by EXIF, or nearly square, with sides that are no multiples of 8.

    Args:
        source: A path, or the bytes of a file.
        size: Longer side in pixels that the picture will be resized to.
        max_pixels: Refuse more pixels than this, counted before the reduction.

    Raises:
        ImageReadError: As :func:`read_image`.
        MissingExtra: As :func:`read_image`.
    """
    if is_dicom(source):
        pixels = read_dicom(source, place(source), max_pixels)
        return Reduced(pixels, (pixels.shape[0], pixels.shape[1]), 1)
    with _decoding(source, max_pixels) as (image, header):
        scale = _reduction(header, size)
        if scale > 1:
            width, height = image.size
            image.draft(None, (width // scale, height // scale))
        return Reduced(_to_rgb(image, header, source), header.size_hw, scale)


def read_mask(source: Source, *, max_pixels: int = MAX_PIXELS, is_numbered: bool = False) -> Array:
    """Decode a label picture: one channel, EXIF applied, values as :mod:`dermtl.imaging.levels` says.

    Args:
        source: A path, or the bytes of a file.
        max_pixels: Refuse more pixels than this.
        is_numbered: The indices of a palette are numbers of classes, whatever the palette shows.

    Returns:
        uint8 [H, W].

    Raises:
        ImageReadError: As :func:`read_image`, the channels differ, or the values are none of labels.
    """
    where = place(source)
    with _decoding(source, max_pixels) as (image, header):
        if header.is_in_planes:
            raise ImageReadError(
                "a mask needs one channel, this one has several", where=where, reason=ImageFault.COLOURED
            )
        if is_wide(header.mode) and header.black:
            image = Image.fromarray(np.asarray(header.black - np.asarray(image), np.uint16))
        return label_values(ImageOps.exif_transpose(image), where, is_numbered=is_numbered)


def read_size(source: Source, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Height and width in pixels after EXIF rotation, from the header alone.

    Raises:
        ImageReadError: As :func:`read_image`, as far as the header shows.
        MissingExtra: As :func:`read_image`.
    """
    header = read_header(source)
    header.refuse(max_pixels, place(source))
    return header.size_hw


def read_header(source: Source) -> Header:
    """What the header says, even of a picture that will be refused.

    Raises:
        ImageReadError: The file is missing, unreadable or of a refused format.
        MissingExtra: As :func:`read_image`.
    """
    where = place(source)
    if is_dicom(source):
        return read_dicom_header(source, where)
    image, header = open_picture(source, where)
    image.close()
    return header


@contextmanager
def _decoding(source: Source, max_pixels: int) -> Iterator[tuple[Image.Image, Header]]:
    """An opened picture that is small enough; what its decoder raises becomes an ImageReadError."""
    where = place(source)
    image, header = open_picture(source, where)
    with image:
        header.refuse(max_pixels, where)
        try:
            yield image, header
        except FAULTS as error:
            raise ImageReadError(f"is damaged or truncated: {error}", where=where, hint="replace the file") from error


def _reduction(header: Header, size: int) -> int:
    """The largest scale that keeps enough pixels."""
    height, width = header.stored_hw
    side, padding = max(height, width), abs(height - width)
    if header.form != "JPEG" or min(height, width) < 8:
        return 1
    for scale in (8, 4, 2):
        # Turning would bring a last row or column that reaches beyond the picture to its front.
        exact = header.orientation == 1 or height % scale == width % scale == 0
        # Within the letterbox's reach of its edge, a band of padding must not begin or end inside a reduced pixel.
        if 0 < padding * size < _NARROW * side:
            exact = exact and side % scale == padding // 2 % scale == 0
        if exact and side >= _SPARE * size * scale:
            return scale
    return 1


def _to_rgb(image: Image.Image, header: Header, source: Source) -> Array:
    """uint8 [H, W, 3] of an opened picture, upright."""
    if header.is_in_planes:
        return _scaled(read_planes(source).astype(np.float64), 0, 65535)
    image = ImageOps.exif_transpose(image)
    if is_wide(image.mode) or image.mode == "F":
        grey = np.asarray(image).astype(np.float64)
        black, white = (0.0, 1.0) if image.mode == "F" else (header.black, header.white)
        low, high = float(grey.min(initial=0)), float(grey.max(initial=0))
        if not (low >= 0 and high <= max(black, white)):  # NaN, too
            message = f"holds values from {low:g} to {high:g}, expected 0..{max(black, white):g}"
            hint = "save it as 8 or 16 bits without sign, scaled to the range"
            raise ImageReadError(message, where=place(source), hint=hint, reason=ImageFault.RANGE)
        return np.repeat(_scaled(grey, black, white)[..., None], 3, axis=2)
    image = to_srgb(image)
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layers.size, (0, 0, 0, 255)), layers)
    return np.asarray(image.convert("RGB"))


def _scaled(values: Array, black: float, white: float) -> Array:
    """Values as levels 0..255."""
    return np.asarray(np.rint((values - black) * (255.0 / (white - black))), np.uint8)
