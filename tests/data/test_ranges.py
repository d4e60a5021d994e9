import logging
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from dermtl.data.checks.check_dataset import check_dataset
from dermtl.data.manifest.preflight import preflight
from dermtl.errors import AnnotationError
from dermtl.imaging.decode import read_image, read_size
from dermtl.imaging.depth import narrow_bits
from dermtl.kinds import Mask, Record


def ramp(top: int) -> np.ndarray:
    return np.linspace(0, top, 64 * 64).round().astype(np.uint16).reshape(64, 64)


def pictures(root: Path) -> list[Path]:
    return sorted([*root.glob("*.png"), *root.glob("*.dcm")])


def records(root: Path) -> list[Record]:
    return [
        Record(path.name, root, {"image": path.name}, f"m.csv:{index}") for index, path in enumerate(pictures(root))
    ]


def codes(root: Path) -> dict[str, str]:
    (root / "m.csv").write_text("\n".join(["image", *(path.name for path in pictures(root)), ""]))
    return {one.code: f"{one.severity} {one.message}" for one in check_dataset(root / "m.csv").findings}


@pytest.mark.parametrize(
    ("top", "bits"), [(255, None), (1023, 10), (4095, 12), (16383, 14), (40000, None), (65535, None)]
)
def test_bits_of_a_picture(top: int, bits: int | None, tmp_path: Path) -> None:
    Image.fromarray(ramp(top)).save(tmp_path / "a.png")
    assert narrow_bits(tmp_path / "a.png") == bits
    Image.fromarray(ramp(255).astype(np.uint8)).save(tmp_path / "b.png")
    assert narrow_bits(tmp_path / "b.png") is None


def test_twelve_bits_in_sixteen_are_told_by_check_and_train(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index, top in enumerate((4095, 4095, 65535)):
        Image.fromarray(np.rot90(ramp(top), index).copy()).save(tmp_path / f"{index}.png")
    assert "2 pictures of 16 bits use 12 bits" in codes(tmp_path)["narrow-range"]
    preflight(records(tmp_path), {})
    assert "2 of 3 pictures of 16 bits that were looked at use 12 bits" in caplog.text


def swapped() -> bytes:
    """sRGB's profile with red and green exchanged: its name still says sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.find(b"rXYZ"), profile.find(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def test_a_profile_that_cannot_be_applied_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=srgb)
    assert "colour-profile" not in codes(tmp_path)
    Image.fromarray(pixels[::-1]).save(tmp_path / "b.png", icc_profile=swapped())
    Image.fromarray(pixels[:, ::-1]).save(tmp_path / "c.png", icc_profile=b"none")
    preflight(records(tmp_path), {})
    assert "1 of 3 pictures that were looked at have a colour profile that cannot be read" in caplog.text
    assert "sRGB built-in" not in caplog.text  # its colours are converted
    assert codes(tmp_path)["colour-profile"].startswith("warning 1 pictures have a colour profile")
    assert np.abs(read_image(tmp_path / "b.png").astype(int) - pixels[::-1][..., [1, 0, 2]]).max() <= 1
    assert np.array_equal(read_image(tmp_path / "c.png"), pixels[:, ::-1]), "the numbers stand"


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JFIF"])
def test_jpeg_under_its_other_names(suffix: str, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        pixels = np.random.default_rng(len(folder) + ord(folder)).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / folder / f"x{suffix}", "JPEG")
    (tmp_path / "a" / "y.mov").write_bytes(b"....ftypqt  ")
    (tmp_path / "a" / "notes.txt").touch()
    (finding,) = [one for one in check_dataset(tmp_path).findings if one.code != "few-groups"]
    assert (finding.code, "1 files" in finding.message, "y.mov" in finding.message) == ("passed-over", True, True)


def test_255_beside_1_is_no_lesion(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    values = np.zeros((64, 64), np.uint8)
    values[20:40, 20:40] = 1
    values[19, 20:40] = 255
    Image.fromarray(values).save(tmp_path / "m.bmp")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "i.png")
    (tmp_path / "t.csv").write_text("image,mask\ni.png,m.bmp\n")
    record = Record("i.png", tmp_path, {"image": "i.png", "mask": "m.bmp"}, "t.csv:2")
    with pytest.raises(AnnotationError, match="holds 1 and 255"):
        Mask().read(record)
    with pytest.raises(AnnotationError, match="value 255, but there are 2 classes"):
        Mask(("a", "b")).read(record)
    assert [one.code for one in check_dataset(tmp_path / "t.csv").findings] == ["mask-values"]
    Image.fromarray(np.where(values == 1, 255, 0).astype(np.uint8)).save(tmp_path / "m.bmp")
    read = Mask().read(record)
    assert read is not None
    assert np.array_equal(read, values == 1)


def test_dicom_without_a_window_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Skin and air of a CT lie within a hundredth of the stored range."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    values = np.random.default_rng(0).integers(-1000, 1000, (32, 32), np.int16)
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 32, 32, 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation, data.PixelData = 15, 1, values.tobytes()
    pydicom.dcmwrite(tmp_path / "0.dcm", data, enforce_file_format=True)
    assert codes(tmp_path)["narrow-window"].startswith("warning 0.dcm uses 8 of 256 levels")
    preflight(records(tmp_path), {})
    assert "1 of 1 DICOM pictures of 16 bits that were looked at show 8 of 256 levels at most" in caplog.text
    data.WindowCenter, data.WindowWidth = 0, 2000
    pydicom.dcmwrite(tmp_path / "0.dcm", data, enforce_file_format=True)
    assert "narrow-window" not in codes(tmp_path)


def test_dicom_is_known_by_its_mark(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    from dermtl.data.importers.ingest import import_data
    from dermtl.runtime.image_files import find_images, find_others

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 6, 8, 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation, data.PixelData = 7, 0, bytes(range(48))
    stream = BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    names = ["a/IM0001", "a/x.dicom", "b/1.2.840.10008", "b/y.ima"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(stream.getvalue())
    (tmp_path / "b" / "notes").write_text("no picture")
    (tmp_path / "b" / "labels.csv").write_text("beside pictures by custom")
    assert [path.relative_to(tmp_path).as_posix() for path in find_images([tmp_path])] == names
    assert [path.name for path in find_others([tmp_path])] == ["notes"]
    assert read_size(tmp_path / names[0]) == (6, 8)
    made = import_data(tmp_path, name="class_folders")
    assert (made.num_rows, made.labels) == (4, {"a": 2, "b": 2})
    (tmp_path / "b" / "labels.csv").write_text("image\n" + "".join(f"{name}\n" for name in names))
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "a")
    shutil.copytree(tmp_path / "b", tmp_path / "b" / "b", ignore=lambda folder, found: {"a", "b"})
    assert {one.code for one in check_dataset(tmp_path / "b" / "labels.csv").findings} == {"equal-pixels", "tiny"}
    (tmp_path / "raw.dcm").write_bytes(stream.getvalue()[132:])
    with pytest.raises(Exception, match="lacks the mark of DICOM"):
        read_size(tmp_path / "raw.dcm")
