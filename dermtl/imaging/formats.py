"""Formats of picture files: their endings, what their first bytes look like, and the extra that some of them need."""

from collections.abc import Mapping
from pathlib import Path

from dermtl.errors import MissingExtra

FORM_BY_SUFFIX: Mapping[str, str] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".bmp": "BMP",
    ".webp": "WEBP",
    **dict.fromkeys((".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"), "JPEG2000"),
    ".gif": "GIF",
    **dict.fromkeys((".pgm", ".ppm", ".pbm", ".pnm"), "PPM"),
    ".avif": "AVIF",
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    ".dcm": "DICOM",
}
SUFFIXES = frozenset(FORM_BY_SUFFIX)
FORMATS = tuple(dict.fromkeys(form for form in FORM_BY_SUFFIX.values() if form not in ("HEIF", "DICOM")))
"""Formats that Pillow reads by itself."""
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"%PDF", "PDF"),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_HEAD = 132  # bytes that tell every format, DICOM's mark included


def sniff(data: bytes) -> str:
    """The format that a file's first 132 bytes tell of, or empty."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4], "big"), _HEAD), 4))}
        return "AVIF" if brands & {b"avif", b"avis"} else "HEIF" if brands & _HEIF_BRANDS else ""
    if data[128:132] == b"DICM":
        return "DICOM"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "PPM"
    return next((form for magic, form in _MAGIC if data.startswith(magic)), "")


def head_of(source: Path | str | bytes) -> bytes:
    """The first bytes of a file; none where it cannot be read."""
    if isinstance(source, bytes):
        return source[:_HEAD]
    try:
        with Path(source).open("rb") as file:
            return file.read(_HEAD)
    except (OSError, ValueError):  # a name with a zero byte
        return b""


def enable_heif() -> None:
    """Have Pillow read HEIC, as phones write it; orientation is applied by the decoder.

    Raises:
        MissingExtra: pillow-heif is not installed.
    """
    try:
        from pillow_heif import register_heif_opener
    except ModuleNotFoundError as error:
        raise MissingExtra(f"HEIC pictures need {error.name}", hint="pip install 'dermtl[heic]'") from error
    register_heif_opener(thumbnails=False, aux_images=False, depth_images=False)
