"""Masks as DICOM segmentation objects, one a picture and output, that reference the picture they belong to.

Patient and study are the picture's own, as the standard wants it; nothing else is copied. Needs highdicom, the extra
``dicom-seg``.
"""

import hashlib
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dermtl
from dermtl.arrays import Array
from dermtl.errors import InputError, MissingExtra
from dermtl.files.atomic import write_atomic
from dermtl.imaging.dicom import is_dicom
from dermtl.kinds import Kind, Mask
from dermtl.runtime.masks import Plan, plan_masks
from dermtl.runtime.prediction import Prediction

_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Rows", "Columns")
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)


def plan_segmentations(
    files: Sequence[Path],
    inputs: Sequence[Path],
    folder: Path,
    kinds: Mapping[str, Kind],
    *,
    overwrite: bool = False,
) -> Plan:
    """Where segmentations go: ``<picture's name>.<head>.dcm``, in the folders of the pictures.

    Args:
        files: The pictures, DICOM files.
        inputs: The files and folders that were named.
        folder: Where segmentations go.
        kinds: Output name to kind.
        overwrite: Replace what is there.

    Returns:
        Picture to output name to path.

    Raises:
        InputError: The model gives no mask, a picture is no DICOM file, ``folder`` lies inside a folder of pictures, or
            a segmentation exists.
        MissingExtra: highdicom is not installed.
    """
    _need_highdicom()
    for file in files:
        if not is_dicom(file):
            hint = "--masks writes PNG files for pictures of any format"
            raise InputError("is no DICOM file, so no segmentation can reference it", where=str(file), hint=hint)
    return plan_masks(files, inputs, folder, kinds, overwrite=overwrite, suffix=".dcm", option="--dicom-seg")


def write_segmentations(
    picture: Path, prediction: Prediction, paths: Mapping[str, Path], *, model: str, digest: str
) -> None:
    """Write a picture's masks, one binary segment a class.

    The same picture, model and mask give the same identifiers, so that writing again does not make another object.

    Args:
        picture: The DICOM file.
        prediction: Of it.
        paths: Output name to file.
        model: The model's name.
        digest: Its sha256.

    Raises:
        InputError: The picture lacks an element that a segmentation needs, or has one that DICOM does not allow.
        DataError: A file cannot be written.
    """
    from pydicom import dcmread

    source = dcmread(picture, stop_before_pixels=True)
    for element in _NEEDED:
        if not source.get(element):
            raise InputError(f"lacks the element {element}, which a segmentation references", where=str(picture))
    for element in _MAY_BE_EMPTY:
        if element not in source:
            setattr(source, element, None)
    for name, path in paths.items():
        kind = prediction.kinds[name]
        assert isinstance(kind, Mask)
        content = io.BytesIO()
        try:
            made = _segmentation(source, kind.decide(prediction.values[name]), kind, name, model, digest)
            made.save_as(content)
        except (ValueError, TypeError, AttributeError, LookupError) as error:  # what pydicom says of odd elements
            told = " ".join(str(error).split())
            raise InputError(f"no segmentation can be made of it: {told}", where=str(picture)) from error
        write_atomic(path, content.getvalue())


def _segmentation(source: Any, decided: Array, kind: Mask, name: str, model: str, digest: str) -> Any:
    highdicom = _need_highdicom()
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    seg = highdicom.seg
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=model, family=codes.DCM.ArtificialIntelligence, version=digest[:16] or "unknown"
    )
    segments = [
        seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            # What a class's name means is not known here: a neutral category, and a code of our own.
            segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
            segmented_property_type=highdicom.sr.CodedConcept(
                hashlib.sha256(label.encode()).hexdigest()[:16], "99DERMTL", label[:64]
            ),
            algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, label in enumerate(kind.classes, 1)
    ]
    series = [str(source.SeriesInstanceUID), digest, name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of elements of the source that it does not use
        return seg.Segmentation(
            source_images=[source],
            pixel_array=decided[None],
            segmentation_type=seg.SegmentationTypeValues.BINARY,
            segment_descriptions=segments,
            series_instance_uid=generate_uid(entropy_srcs=series),
            series_number=1,
            sop_instance_uid=generate_uid(entropy_srcs=[*series, str(source.SOPInstanceUID), decided.tobytes().hex()]),
            instance_number=int(source.get("InstanceNumber") or 1),
            manufacturer="dermtl",
            manufacturer_model_name=model,
            software_versions=dermtl.__version__,
            device_serial_number=digest[:16] or "unknown",
            content_label="OUTLINE",
            omit_empty_frames=False,
        )


def _need_highdicom() -> Any:
    try:
        import highdicom
    except ModuleNotFoundError as error:
        raise MissingExtra(f"this needs {error.name}", hint="pip install 'dermtl[dicom-seg]'") from error
    return highdicom
