import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.errors import ImageReadError, MissingExtra
from dermtl.imaging.decode import SUFFIXES, read_header, read_image, read_image_for, read_size

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels.processing import apply_voi_lut  # noqa: E402
from pydicom.uid import (  # noqa: E402
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

HW = (24, 40)
CANARY = "Canary^Person"
TWELVE = np.linspace(0, 4095, 24 * 40).reshape(HW).astype(np.uint16)
COLOURS = np.stack([np.arange(960).reshape(HW) % 251, *np.mgrid[:24, :40] * 6], axis=-1).astype(np.uint8)


def dataset(pixels: np.ndarray, interpretation: str, *, bits: int = 8, syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.77.1.4")
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID("1.2.3.4")
    made.PatientName, made.PatientID, made.PatientBirthDate = CANARY, CANARY, "19700101"
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = interpretation
    made.BitsAllocated, made.BitsStored, made.HighBit = 8 * pixels.itemsize, bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.PixelData = pixels.tobytes()
    return made


def stored(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def compressed(form: str, syntax: UID, pixels: np.ndarray, interpretation: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    made = dataset(pixels, interpretation, syntax=syntax)
    made.PixelData = encapsulate([buffer.getvalue()])
    made["PixelData"].VR = "OB"
    return stored(made)


def levels(shares: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def test_twelve_bits_without_a_window_use_the_stored_range() -> None:
    read = read_image(stored(dataset(TWELVE, "MONOCHROME2", bits=12)))
    assert read.shape == (*HW, 3)
    assert read.dtype == np.uint8
    assert np.array_equal(read[..., 0], levels(TWELVE / 4095))
    assert np.array_equal(read[..., 0], read[..., 2])


def test_monochrome_1_is_inverted() -> None:
    read = read_image(stored(dataset(TWELVE, "MONOCHROME1", bits=12)))
    assert np.array_equal(read[..., 0], levels(1 - TWELVE / 4095))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_windows_agree_with_pydicom(function: str, interpretation: str) -> None:
    made = dataset(TWELVE, interpretation, bits=12)
    made.WindowCenter, made.WindowWidth, made.VOILUTFunction = [1800, 20], [900, 10], function
    expected = levels(apply_voi_lut(TWELVE, made) / 4095)
    read = read_image(stored(made))[..., 0].astype(int)
    assert np.abs(read - (255 - expected.astype(int) if interpretation == "MONOCHROME1" else expected)).max() <= 1
    assert len(np.unique(read)) > 50


def test_a_window_of_width_one_is_a_threshold() -> None:
    made = dataset(TWELVE, "MONOCHROME2", bits=12)
    made.WindowCenter, made.WindowWidth = 2000, 1
    assert np.array_equal(read_image(stored(made))[..., 0], np.where(TWELVE > 1999.5, 255, 0))


def test_slope_and_intercept_come_before_the_window() -> None:
    signed = (TWELVE.astype(np.int16) - 1024).astype(np.int16)
    made = dataset(signed, "MONOCHROME2", bits=16)
    made.RescaleSlope, made.RescaleIntercept = 2, -100
    made.WindowCenter, made.WindowWidth, made.VOILUTFunction = 1000, 2000, "LINEAR_EXACT"
    units = signed * 2.0 - 100
    assert np.abs(read_image(stored(made))[..., 0].astype(int) - levels((units - 1000) / 2000 + 0.5)).max() <= 1
    del made.WindowCenter, made.WindowWidth
    ends = np.array([-32768, 32767]) * 2.0 - 100
    assert np.abs(read_image(stored(made))[..., 0].astype(int) - levels((units - ends[0]) / np.ptp(ends))).max() <= 1


@pytest.mark.parametrize("which", ["VOILUTSequence", "ModalityLUTSequence"])
def test_tables_are_applied(which: str) -> None:
    grey = (TWELVE >> 4).astype(np.uint8)
    curve = np.rint(4095 * (np.arange(256) / 255) ** 2).astype(np.uint16)
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [256, 0, 12])
    item.add_new("LUTData", "OW", curve.tobytes())
    made = dataset(grey, "MONOCHROME2")
    setattr(made, which, [item])
    if which == "ModalityLUTSequence":
        item.ModalityLUTType = "US"
    assert np.abs(read_image(stored(made))[..., 1].astype(int) - levels(curve[grey] / 4095)).max() <= 1


def test_colours() -> None:
    assert np.array_equal(read_image(stored(dataset(COLOURS, "RGB"))), COLOURS)
    planes = dataset(COLOURS, "RGB")
    planes.PlanarConfiguration, planes.PixelData = 1, COLOURS.transpose(2, 0, 1).tobytes()
    assert np.array_equal(read_image(stored(planes)), COLOURS)
    ybr = np.asarray(Image.fromarray(COLOURS).convert("YCbCr"))
    read = read_image(stored(dataset(ybr, "YBR_FULL")))
    assert np.abs(read.astype(int) - np.asarray(Image.fromarray(ybr, "YCbCr").convert("RGB"))).max() <= 2


def test_palettes() -> None:
    index = (np.arange(960).reshape(HW) % 16).astype(np.uint8)
    table = np.random.default_rng(0).integers(0, 65536, (3, 16), dtype=np.uint16)
    made = dataset(index, "PALETTE COLOR")
    for name, plane in zip(("Red", "Green", "Blue"), table, strict=True):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [16, 0, 16])
        made[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(made, f"{name}PaletteColorLookupTableData", plane.tobytes())
    assert np.abs(read_image(stored(made)).astype(int) - levels(table.T[index] / 65535)).max() <= 1


def test_compressed_pixels() -> None:
    read = read_image(compressed("JPEG2000", JPEG2000Lossless, COLOURS, "YBR_RCT", irreversible=False, no_jp2=True))
    assert np.array_equal(read, COLOURS)
    smooth = np.asarray(Image.fromarray(COLOURS[:6, :10]).resize((40, 24)))
    read = read_image(compressed("JPEG", JPEGBaseline8Bit, smooth, "YBR_FULL", quality=98, subsampling=0))
    assert np.abs(read.astype(int) - smooth).mean() <= 2
    made = dataset(TWELVE, "MONOCHROME2", bits=12)
    made.compress(RLELossless)
    assert np.array_equal(read_image(stored(made))[..., 0], levels(TWELVE / 4095))


def test_labels_that_the_samples_contradict() -> None:
    """Vendors write RGB over JPEG's YCbCr, and 4:2:2 over whole planes: Pillow's own decoding is the witness."""
    smooth = np.asarray(Image.fromarray(COLOURS[:, :, ::-1]).resize((80, 48), Image.Resampling.BICUBIC))
    content = io.BytesIO()
    Image.fromarray(smooth).save(content, "JPEG", quality=90)
    jpeg = content.getvalue()
    expected = np.asarray(Image.open(io.BytesIO(jpeg)))
    bare = jpeg[:2] + jpeg[2 + 2 + int.from_bytes(jpeg[4:6], "big") :]  # without the JFIF marker that tells of YCbCr
    for data in (jpeg, bare):
        made = dataset(smooth, "RGB", syntax=JPEGBaseline8Bit)
        made.PixelData = encapsulate([data])
        assert np.abs(read_image(stored(made)).astype(int) - expected).max() <= 3
    planes = np.asarray(Image.fromarray(smooth).convert("YCbCr"))
    expected = np.asarray(Image.fromarray(planes, "YCbCr").convert("RGB"))
    got = read_image(stored(dataset(planes, "YBR_FULL_422")))
    assert np.abs(got.astype(int) - expected).max() <= 2


def test_a_true_rgb_jpeg_under_its_own_label_stays() -> None:
    content = io.BytesIO()
    Image.fromarray(COLOURS).save(content, "JPEG", quality=95, keep_rgb=True, subsampling=0)
    made = dataset(COLOURS, "RGB", syntax=JPEGBaseline8Bit)
    made.PixelData = encapsulate([content.getvalue()])
    expected = np.asarray(Image.open(io.BytesIO(content.getvalue())))
    assert np.abs(read_image(stored(made)).astype(int) - expected).max() <= 1


def test_header_and_reduction(tmp_path: Path) -> None:
    path = tmp_path / "picture.dcm"
    path.write_bytes(stored(dataset(COLOURS, "RGB")))
    header = read_header(path)
    assert (header.form, header.mode, header.size_hw) == ("DICOM", "RGB", HW)
    assert read_size(path) == HW
    reduced = read_image_for(path, 4)
    assert (reduced.scale, reduced.size_hw) == (1, HW)
    assert ".dcm" in SUFFIXES
    unnamed = path.rename(tmp_path / "IM000001")
    assert np.array_equal(read_image(unnamed), COLOURS)


def test_refused_files(tmp_path: Path) -> None:
    frames = dataset(COLOURS, "RGB")
    frames.NumberOfFrames, frames.PixelData = 2, COLOURS.tobytes() * 2
    with pytest.raises(ImageReadError, match="several frames"):
        read_image(stored(frames))
    huge = dataset(COLOURS, "RGB")
    huge.Rows, huge.Columns = 60_000, 60_000
    with pytest.raises(ImageReadError, match="cap"):
        read_image(stored(huge))
    with pytest.raises(ImageReadError, match="cap of 100"):
        read_size(stored(dataset(COLOURS, "RGB")), max_pixels=100)
    lossless = compressed("JPEG", JPEGLosslessSV1, COLOURS, "RGB")
    with pytest.raises(ImageReadError, match="pylibjpeg-libjpeg"):
        read_image(lossless)
    with pytest.raises(ImageReadError, match="no such file"):
        read_image(tmp_path / "none.dcm")
    report = dataset(COLOURS, "RGB")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    with pytest.raises(ImageReadError, match="as DICOM"):
        read_image(stored(report))


def test_cut_and_damaged_files_are_named_and_tell_nothing_of_the_person() -> None:
    whole = stored(dataset(COLOURS, "RGB"))
    assert CANARY.encode() in whole
    rng = np.random.default_rng(0)
    for end in np.unique(np.linspace(0, len(whole) - 1, 200).astype(int)):
        with pytest.raises(ImageReadError) as fault:
            read_image(whole[:end])
        assert "Canary" not in str(fault.value)
    for _ in range(200):
        spoilt = np.frombuffer(whole, np.uint8).copy()
        spoilt[rng.integers(132, 700, 3)] = rng.integers(0, 256, 3)
        try:
            read_image(spoilt.tobytes())
        except ImageReadError as error:
            assert "Canary" not in str(error)  # noqa: PT017


def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored(dataset(COLOURS, "RGB"))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for read in (read_image, read_size):
        with pytest.raises(MissingExtra) as fault:
            read(data)
        assert "pip install 'dermtl[dicom]'" in str(fault.value)
