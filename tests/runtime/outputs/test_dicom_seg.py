"""Segmentations as another reader sees them: the mask itself, and the picture that it belongs to."""

import warnings

import numpy as np
import pytest
from click.testing import CliRunner

import dermtl
from dermtl.errors import InputError
from dermtl.kinds import Category, Mask
from dermtl.runtime.outputs.dicom_seg import DicomSeg
from dermtl.runtime.prediction import Prediction

highdicom = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")
HW = (24, 40)
DERMOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.7"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"


def write_dicom(path, *, without=(), sop=DERMOSCOPY, uid="1.2.3.4.5"):
    """A colour picture, red on its left half."""
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = sop
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = uid
    made.StudyInstanceUID, made.SeriesInstanceUID, made.InstanceNumber = "1.2.3", "1.2.3.4", 7
    made.PatientID, made.PatientName, made.Modality = "P1", "Doe^Jane", "XC"
    pixels = np.zeros((*HW, 3), np.uint8)
    pixels[:, : HW[1] // 2, 0] = 255
    made.Rows, made.Columns = HW
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = pixels.tobytes()
    for element in without:
        delattr(made, element)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_as(path, enforce_file_format=True)
    return path


def predict(*arguments):
    from dermtl.cli.predict import predict as command

    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def written(path):
    """The object as highdicom reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return highdicom.seg.segread(path)


def mask_of(segmentation):
    """Class of every pixel, uint8 [H, W]."""
    return segmentation.get_pixels_by_source_instance(
        source_sop_instance_uids=["1.2.3.4.5"], combine_segments=True, ignore_spatial_locations=True
    )[0]


@pytest.mark.parametrize("sop", [DERMOSCOPY, SECONDARY])
def test_the_mask_comes_back_and_references_its_picture(model_path, tmp_path, sop):
    (tmp_path / "study").mkdir()
    picture = write_dicom(tmp_path / "study" / "a.dcm", sop=sop)
    done = predict(model_path, tmp_path / "study", "--dicom-seg", tmp_path / "seg", "--threads", 1)
    assert done.exit_code == 0, done.output
    found = written(tmp_path / "seg" / "a.dcm.outline.dcm")
    model = dermtl.load(model_path)
    decided = model.kinds["outline.mask"].decide(model.predict(picture)["outline.mask"])
    assert 0 < decided.sum() < decided.size
    np.testing.assert_array_equal(mask_of(found), decided)
    assert (found.PatientID, found.StudyInstanceUID, found.Modality) == ("P1", "1.2.3", "SEG")
    assert found.SeriesInstanceUID != "1.2.3.4"
    (reference,) = found.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert (reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID) == (sop, "1.2.3.4.5")


def prediction(values, classes):
    return Prediction(HW, {"outline.mask": values.astype(np.float32)}, {"outline.mask": Mask(classes)})


def write_segmentation(picture, values, folder):
    sink = DicomSeg(folder, [picture], values.kinds, model="m", digest="d" * 64)
    (path,) = sink.plan([picture])
    sink.write(picture, values)
    return path


def test_each_class_is_a_segment_and_a_mask_may_be_empty(tmp_path):
    picture = write_dicom(tmp_path / "a.dcm")
    values = np.zeros((2, *HW))
    values[0, :5], values[1, 9:12, 3:30] = 0.9, 0.8
    for given in (values, values * 0):
        found = written(write_segmentation(picture, prediction(given, ("lesion", "hair")), tmp_path / "seg"))
        assert [segment.SegmentLabel for segment in found.SegmentSequence] == ["lesion", "hair"]
        expected = np.zeros(HW, np.uint8)
        if given.any():
            expected[:5], expected[9:12, 3:30] = 1, 2
        np.testing.assert_array_equal(mask_of(found), expected)


def test_the_same_again_is_the_same_object(tmp_path):
    picture = write_dicom(tmp_path / "a.dcm")
    uids = []
    for share in (0.9, 0.9, 0.1):
        values = prediction(np.full((1, *HW), share), ("lesion",))
        uids.append(written(write_segmentation(picture, values, tmp_path / "seg")).SOPInstanceUID)
    assert uids[0] == uids[1] != uids[2]


def test_other_pictures_are_refused_before_anything_is_predicted(model_path, pictures, tmp_path):
    done = predict(model_path, pictures, "--dicom-seg", tmp_path / "seg", "--out", tmp_path / "rows.csv")
    assert isinstance(done.exception, InputError)
    assert "is no DICOM file" in str(done.exception)
    assert "--masks" in done.exception.hint
    assert not list(tmp_path.glob("rows*"))
    assert not (tmp_path / "seg").exists()


def test_a_picture_without_identifiers_is_a_row_with_an_error(model_path, tmp_path):
    (tmp_path / "study").mkdir()
    write_dicom(tmp_path / "study" / "a.dcm", without=["StudyInstanceUID"])
    done = predict(model_path, tmp_path / "study", "--dicom-seg", tmp_path / "seg", "--out", tmp_path / "rows.csv")
    assert done.exit_code == 1
    assert "lacks the element StudyInstanceUID" in (tmp_path / "rows.csv").read_text()
    assert "Doe" not in (tmp_path / "rows.csv").read_text()


def test_a_model_without_masks_is_refused(tmp_path):
    picture = write_dicom(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="gives no mask"):
        DicomSeg(tmp_path / "seg", [picture], {"diagnosis.probability": Category(("a", "b"))}, model="m", digest="")


def test_a_picture_with_an_element_that_dicom_forbids_is_a_row_with_an_error(model_path, tmp_path):
    """Old files write times with colons; the pictures beside them keep their segmentations."""
    (tmp_path / "study").mkdir()
    write_dicom(tmp_path / "study" / "good.dcm")
    odd = write_dicom(tmp_path / "study" / "odd.dcm", uid="1.2.3.4.6")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = pydicom.dcmread(odd)
        source.StudyTime = "14:04:38"
        source.save_as(odd)
    done = predict(model_path, tmp_path / "study", "--dicom-seg", tmp_path / "seg", "--out", tmp_path / "rows.csv")
    assert done.exit_code == 1, done.output
    assert "no segmentation can be made of it" in (tmp_path / "rows.csv").read_text()
    assert [path.name for path in (tmp_path / "seg").iterdir()] == ["good.dcm.outline.dcm"]
