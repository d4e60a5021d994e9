"""DICOM pictures as the RGB that every other format gives; needs the extra ``dicom``.

Only the elements that describe pixels are read, so nothing that names a person is ever held.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import ImageFault, ImageReadError, MissingExtra
from dermtl.imaging.dicom_colour import colour_space
from dermtl.imaging.formats import SUFFIXES
from dermtl.imaging.header import Header, Source

_MARK, _MARK_AT = b"DICM", 128
_LOSSLESS_JPEG = frozenset({"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"})
_HEADER = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PlanarConfiguration",
)
_PIXELS = (
    *_HEADER,
    "PixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    *(f"{hue}PaletteColorLookupTable{part}" for hue in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
)


def is_dicom(source: Source) -> bool:
    """Whether a file has DICOM's mark; files named as another format are not looked into."""
    if isinstance(source, bytes):
        return source[_MARK_AT : _MARK_AT + 4] == _MARK
    suffix = Path(source).suffix.lower()
    if suffix != ".dcm" and suffix in SUFFIXES:
        return False
    try:
        with Path(source).open("rb") as file:
            return file.read(_MARK_AT + 4)[_MARK_AT:] == _MARK
    except (OSError, ValueError):  # a name with a zero byte
        return False


def read_dicom_header(source: Source, where: str) -> Header:
    """Size and frames of a DICOM file.

    Raises:
        ImageReadError: The file is damaged or holds no picture.
        MissingExtra: pydicom is not installed.
    """
    with _reading(where):
        return _header(_open(source, _HEADER))


def read_dicom(source: Source, where: str, max_pixels: int) -> Array:
    """Decode a DICOM picture as a viewer would show it.

    Greys pass the modality's and the first VOI transformation; without one the stored range becomes 0..255.
    MONOCHROME1 is inverted; YBR and palettes become RGB, and so does YBR under a wrong label that shows as one.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        ImageReadError: The file is damaged, too large, holds several frames or a compression that nothing installed
            decodes.
        MissingExtra: pydicom is not installed.

    Source: DICOM PS3.3, C.7.6.3 (pixels), C.11.1 (modality LUT), C.11.2 (VOI LUT).
    """
    with _reading(where):
        _header(_open(source, _HEADER)).refuse(max_pixels, where)
        dataset = _open(source, _PIXELS)
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        if syntax in _LOSSLESS_JPEG and not _decodable(dataset):
            hint = "pip install pylibjpeg-libjpeg (its licence is the GPL), or transcode the file"
            raise ImageReadError(
                "is compressed as lossless JPEG, which nothing installed decodes", where=where, hint=hint
            )
        interpretation = str(dataset.PhotometricInterpretation)
        if interpretation in ("RGB", "YBR_FULL_422"):
            dataset.PhotometricInterpretation = colour_space(dataset)
        pixels = dataset.pixel_array  # YBR comes as RGB
        if interpretation.startswith("MONOCHROME"):
            shares = _grey(pixels, dataset)
            levels = _levels(1 - shares if interpretation == "MONOCHROME1" else shares)
            return np.repeat(levels[..., None], 3, axis=2)
        if interpretation == "PALETTE COLOR":
            from pydicom.pixels.processing import apply_color_lut

            pixels = apply_color_lut(pixels, dataset)[..., :3]
            return _levels(pixels / np.iinfo(pixels.dtype).max)
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ImageReadError("is neither a grey nor a colour picture", where=where)
        return np.asarray(pixels) if pixels.dtype == np.uint8 else _levels(pixels / (2.0**dataset.BitsStored - 1))


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Faults of any reader become ours; their texts could quote elements, so only their names are passed on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ImageReadError, MissingExtra):
        raise
    except FileNotFoundError:
        hint = "check the path; those of a manifest start at data.root"
        raise ImageReadError("no such file", where=where, hint=hint, reason=ImageFault.MISSING) from None
    except Exception as error:  # noqa: BLE001  plugins of pydicom raise what they like
        message = f"cannot be decoded as DICOM ({type(error).__name__})"
        raise ImageReadError(message, where=where, hint="replace or transcode the file") from None


def _open(source: Source, elements: Any) -> Any:
    try:
        from pydicom import dcmread
    except ModuleNotFoundError as error:
        raise MissingExtra(f"DICOM files need {error.name}", hint="pip install 'dermtl[dicom]'") from error
    file = BytesIO(source) if isinstance(source, bytes) else source
    return dcmread(file, specific_tags=list(elements), stop_before_pixels="PixelData" not in elements)


def _header(dataset: Any) -> Header:
    height, width = int(dataset.Rows), int(dataset.Columns)
    if height < 1 or width < 1:
        raise ValueError
    mode = "RGB" if int(dataset.SamplesPerPixel) == 3 else "L" if int(dataset.BitsStored) <= 8 else "I;16"
    frames = int(dataset.get("NumberOfFrames") or 1)
    return Header("DICOM", mode, (height, width), is_sequence=frames > 1)


def _decodable(dataset: Any) -> bool:
    from pydicom.pixels.decoders.base import get_decoder

    return bool(get_decoder(dataset.file_meta.TransferSyntaxUID).is_available)


def _grey(pixels: Array, dataset: Any) -> Array:
    """Stored values as shares of white, float64 [H, W]."""
    bits = int(dataset.BitsStored)
    low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0.0, 2.0**bits - 1)
    values = np.asarray(pixels, np.float64)
    if dataset.get("ModalityLUTSequence"):
        values, high = _look_up(values, dataset.ModalityLUTSequence[0])
        low = 0.0
    elif "RescaleSlope" in dataset:
        slope, intercept = float(dataset.RescaleSlope), float(dataset.get("RescaleIntercept") or 0)
        values = values * slope + intercept
        low, high = sorted((low * slope + intercept, high * slope + intercept))
    if dataset.get("VOILUTSequence"):
        values, high = _look_up(values, dataset.VOILUTSequence[0])
        return values / high
    if dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None:
        return _window(values, dataset)
    return np.asarray((values - low) / (high - low))


def _look_up(values: Array, table: Any) -> tuple[Array, float]:
    """Values through a table, and the highest that its depth allows.

    pydicom's own functions know tables of 8 and 16 bits only, or wrap values beyond 255.
    """
    num, first, depth = (int(number) for number in table.LUTDescriptor)
    num = num or 65536  # 16 bits cannot say it
    data = table.LUTData
    if isinstance(data, bytes):
        entries = np.frombuffer(data, np.uint8 if len(data) < 2 * num else "<u2")[:num]
    else:
        entries = np.atleast_1d(np.asarray(data))
    index = np.clip(values - first, 0, len(entries) - 1).astype(np.intp)
    return np.asarray(entries[index], np.float64), 2.0**depth - 1


def _window(values: Array, dataset: Any) -> Array:
    """The first window. Source: DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    centre, width = (_first(dataset[name].value) for name in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if not (math.isfinite(centre) and width >= (1 if function == "LINEAR" else 0)) or (width == 0):
        raise ValueError
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700))))
    if function == "LINEAR_EXACT":
        return np.asarray((values - centre) / width + 0.5)
    if width == 1:
        return np.asarray(values > centre - 0.5, np.float64)
    return np.asarray((values - (centre - 0.5)) / (width - 1) + 0.5)


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def _levels(shares: Array) -> Array:
    return np.asarray(np.rint(np.clip(shares, 0, 1) * 255), np.uint8)
