"""Opening picture files: what the header says, and what is refused before a single pixel is decoded.

Knows the formats and the caps; pixels are :mod:`dermtl.imaging.decode`'s.
"""

import io
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from dermtl.errors import ImageFault, ImageReadError
from dermtl.imaging.formats import FORMATS, enable_heif, head_of, sniff
from dermtl.imaging.profile import unusable_profile
from dermtl.imaging.tiff import bits_of, is_in_planes, is_white_zero, open_black_is_zero

Source = Path | str | bytes

_PHONE = "MPO"  # a JPEG that brings further frames: a depth map, a gain map, the other eye; the first is the picture
_STILL = frozenset({_PHONE, "HEIF"})  # formats of phones: what follows the first frame belongs to it
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of RGB; a bomb of 100 megapixels takes 12 kB
MAX_SIDE_PX = 20_000  # the letterbox pads to a square: a strip of 100000x10 pixels would take 30 GB
_TRANSPOSED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap height and width
_ORIENTATION = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"
FAULTS = (
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


@dataclass(frozen=True)
class Header:
    """What a file says about its picture.

    Attributes:
        form: One of FORMATS.
        mode: Pillow's mode: ``RGB``, ``L``, ``I;16``, ...
        size_hw: Height and width in pixels after EXIF rotation.
        orientation: EXIF orientation, 1..8; 1 is upright.
        is_sequence: Whether there are several frames.
        profile: An embedded colour profile that is not sRGB's and cannot be applied, in words; else empty.
        black: Stored value that is black, of greys of more than 8 bits.
        white: Stored value that is white, of greys of more than 8 bits.
        is_in_planes: Whether it is a TIFF with channels of 16 bits one after the other.
    """

    form: str
    mode: str
    size_hw: tuple[int, int]
    orientation: int = 1
    is_sequence: bool = False
    profile: str = ""
    black: int = 0
    white: int = 65535
    is_in_planes: bool = False

    @property
    def is_transposed(self) -> bool:
        """Whether the rows are stored as columns."""
        return self.orientation in _TRANSPOSED

    @property
    def stored_hw(self) -> tuple[int, int]:
        """Height and width before EXIF rotation."""
        return self.size_hw[::-1] if self.is_transposed else self.size_hw

    def refuse(self, max_pixels: int, where: str) -> None:
        """Check size and frames.

        Raises:
            ImageReadError: There are too many pixels, a side is too long, or there is more than one frame.
        """
        height, width = self.stored_hw
        if width * height > max_pixels:
            raise ImageReadError(
                f"{width}x{height} pixels are more than the cap of {max_pixels}",
                where=where,
                reason=ImageFault.TOO_LARGE,
            )
        if max(width, height) > MAX_SIDE_PX:
            raise ImageReadError(
                f"{width}x{height} pixels: a side is longer than {MAX_SIDE_PX}",
                where=where,
                reason=ImageFault.TOO_LARGE,
            )
        if self.is_sequence:
            raise ImageReadError(
                "holds several frames, expected one picture", where=where, reason=ImageFault.SEVERAL_FRAMES
            )


def place(source: Source) -> str:
    """What to call a source in messages."""
    return "image" if isinstance(source, bytes) else str(source)


def open_picture(source: Source, where: str) -> tuple[Image.Image, Header]:
    """Open a file without decoding it; refuses nothing but what is no picture.

    Raises:
        ImageReadError: The file is missing, unreadable or of a refused format.
        MissingExtra: The file is HEIC, and pillow-heif is not installed.
    """
    formats = list(FORMATS)
    if sniff(head_of(source)) == "HEIF":
        enable_heif()
        formats = ["HEIF"]
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    except FileNotFoundError:
        raise ImageReadError(
            "no such file",
            where=where,
            hint="check the path; those of a manifest start at data.root",
            reason=ImageFault.MISSING,
        ) from None
    except UnidentifiedImageError as error:
        if (inverted := _white_is_zero(source)) is not None:
            return inverted, replace(_header(inverted), black=65535, white=0)
        if str(where).lower().endswith(".dcm"):
            hint = "write it with its preamble, for example dcmconv +F"
            raise ImageReadError("is called .dcm, but lacks the mark of DICOM", where=where, hint=hint) from error
        raise ImageReadError(f"is not one of {', '.join(FORMATS)}, or is damaged", where=where) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageReadError(
            f"the pixels are more than the cap of {MAX_PIXELS}", where=where, reason=ImageFault.TOO_LARGE
        ) from error
    except FAULTS as error:
        raise ImageReadError(f"cannot be opened: {error}", where=where) from error
    return image, _header(image)


def _white_is_zero(source: Source) -> Image.Image | None:
    try:
        return open_black_is_zero(source)
    except FAULTS:
        return None


def _header(image: Image.Image) -> Header:
    width, height = image.size
    orientation = _orientation(image) if width * height <= MAX_PIXELS else 1
    # Pillow's TIFF reader turns by itself and states the upright size.
    swapped = orientation in _TRANSPOSED and image.format != "TIFF"
    size_hw = (width, height) if swapped else (height, width)
    # Counting the frames of a TIFF would walk the whole chain.
    is_sequence = image.format not in _STILL and bool(getattr(image, "is_animated", False))
    form = "JPEG" if image.format == _PHONE else image.format or ""
    header = Header(form, image.mode, size_hw, orientation, is_sequence, unusable_profile(image))
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return header
    if is_in_planes(tags):
        return replace(header, mode="RGB", is_in_planes=True)
    top = 2 ** bits_of(tags) - 1 if image.mode.startswith("I;16") else 65535  # Pillow leaves 12 bits as they are
    return replace(header, black=top, white=0) if is_white_zero(tags) else replace(header, white=top)


def _orientation(image: Image.Image) -> int:
    try:
        # A PNG's own method decodes all pixels, because metadata may follow them.
        exif = Image.Image.getexif(image) if image.format == "PNG" and not _has_tail(image) else image.getexif()
        orientation = exif.get(_ORIENTATION)
    except FAULTS:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _has_tail(image: Image.Image) -> bool:
    """Whether a PNG holds anything but pixels behind its first pixels."""
    file: IO[bytes] | None = getattr(image, "fp", None)
    if file is None:
        return True
    here, at = file.tell(), len(_PNG)
    try:
        is_behind = False
        while True:
            file.seek(at)
            head = file.read(8)
            if len(head) < 8 or head[4:] == b"IEND":
                return False
            is_behind = is_behind or head[4:] == b"IDAT"
            if is_behind and head[4:] != b"IDAT":
                return True
            at += 12 + int.from_bytes(head[:4], "big")
    finally:
        file.seek(here)
