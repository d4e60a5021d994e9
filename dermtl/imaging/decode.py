"""The only place that turns files into pixels: training, evaluation, prediction and serving all read here.

The header is read first and the number of pixels is capped before anything is decoded. EXIF orientation is applied;
16-bit greys are scaled, never clipped; transparency is composited on black; several frames, truncated data and
unlisted formats are refused with an :class:`~dermtl.errors.ImageReadError`.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dermtl.errors import ImageReadError
from dermtl.imaging.affine import Array

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
MAX_PIXELS = 100_000_000
_TRANSPOSED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap height and width
_ORIENTATION = 0x0112
_FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
    MemoryError,
)


def read_image(source: Path | str | bytes, *, max_pixels: int = MAX_PIXELS) -> Array:
    """Decode a picture.

    Args:
        source: A path, or the bytes of a file.
        max_pixels: Refuse more pixels than this.

    Returns:
        uint8 [H, W, 3], RGB, upright.

    Raises:
        ImageReadError: The file is missing, damaged, too large or of a refused format.
    """
    where = _where(source)
    try:
        with _open(source, max_pixels) as image:
            return _to_rgb(ImageOps.exif_transpose(image))
    except _FAULTS as error:
        raise ImageReadError(f"is damaged or truncated: {error}", where=where, hint="replace the file") from error


def read_mask(source: Path | str | bytes, *, max_pixels: int = MAX_PIXELS) -> Array:
    """Decode a label picture: one channel, values untouched, EXIF applied.

    Returns:
        uint8 [H, W].

    Raises:
        ImageReadError: As :func:`read_image`, or the channels differ.
    """
    where = _where(source)
    try:
        with _open(source, max_pixels) as image:
            upright = ImageOps.exif_transpose(image)
            values = np.asarray(upright.convert("L") if upright.mode == "1" else upright)
    except _FAULTS as error:
        raise ImageReadError(f"is damaged or truncated: {error}", where=where, hint="replace the file") from error
    if values.ndim == 3:
        colours = values[..., :3] if values.shape[2] >= 3 else values[..., :1]
        if not (colours == colours[..., :1]).all():
            raise ImageReadError("a mask needs one channel, this one is coloured", where=where)
        values = colours[..., 0]
    if values.dtype != np.uint8 and values.max(initial=0) > 255:
        raise ImageReadError(f"a mask holds 0..255, this one goes to {values.max()}", where=where)
    return values.astype(np.uint8)


def read_size(source: Path | str | bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Height and width in pixels after EXIF rotation, from the header alone.

    Raises:
        ImageReadError: As :func:`read_image`, as far as the header shows.
    """
    with _open(source, max_pixels) as image:
        width, height = image.size
        try:
            # Pillow's TIFF reader turns by itself and states the upright size.
            turned = image.format != "TIFF" and image.getexif().get(_ORIENTATION) in _TRANSPOSED
        except _FAULTS:
            turned = False
    return (width, height) if turned else (height, width)


def _where(source: Path | str | bytes) -> str:
    return "image" if isinstance(source, bytes) else str(source)


def _open(source: Path | str | bytes, max_pixels: int) -> Image.Image:
    where = _where(source)
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except FileNotFoundError:
        raise ImageReadError("no such file", where=where, hint="check the manifest's paths and data.root") from None
    except UnidentifiedImageError as error:
        raise ImageReadError(f"is not one of {', '.join(FORMATS)}, or is damaged", where=where) from error
    except (*_FAULTS, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageReadError(f"cannot be opened: {error}", where=where) from error
    try:
        _refuse(image, max_pixels, where)
    except ImageReadError:
        image.close()
        raise
    return image


def _refuse(image: Image.Image, max_pixels: int, where: str) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageReadError(f"{width}x{height} pixels are more than the cap of {max_pixels}", where=where)
    try:
        frames = getattr(image, "n_frames", 1)
    except _FAULTS as error:
        raise ImageReadError(f"cannot be opened: {error}", where=where) from error
    if frames > 1:
        raise ImageReadError(f"holds {frames} frames, expected one picture", where=where)


def _to_rgb(image: Image.Image) -> Array:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        grey = np.asarray(image).astype(np.float64)
        if image.mode == "F" and not (np.isfinite(grey).all() and grey.min() >= 0 and grey.max() <= 1):
            raise ValueError("float pixels outside 0..1")
        top = 1.0 if image.mode == "F" else 65535.0
        if grey.max(initial=0) > top or grey.min(initial=0) < 0:
            raise ValueError(f"pixel values outside 0..{top:g}")
        levels = np.rint(grey * (255.0 / top)).astype(np.uint8)
        return np.repeat(levels[..., None], 3, axis=2)
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layers.size, (0, 0, 0, 255)), layers)
    return np.asarray(image.convert("RGB"))
