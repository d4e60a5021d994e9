"""Masks as DICOM segmentation objects that reference the picture they belong to.

Patient and study are those of the picture, as the standard requires; nothing else is copied. Needs highdicom, the extra
``dicom-seg``.
"""

import hashlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dermtl
from dermtl.arrays import Array
from dermtl.errors import InputError, MissingExtra
from dermtl.files.atomic import write_atomic
from dermtl.imaging.dicom import is_dicom
from dermtl.kinds import Kind, Mask
from dermtl.runtime.outputs.masks import MaskPaths
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


class DicomSeg:
    """A folder of segmentations; see :class:`~dermtl.runtime.outputs.sink.Sink`.

    A file is ``<picture's name>.<head>.dcm``, with one binary segment for each class. The same picture, model and mask
    give the same identifiers, so that writing again does not make another object.

    Args:
        folder: The folder of the segmentations.
        inputs: The files and folders that were named.
        kinds: Output name to kind.
        model: The model's name.
        digest: SHA-256 of the model file.

    Raises:
        InputError: The model gives no mask, or ``folder`` lies inside a folder of pictures.
        MissingExtra: highdicom is not installed.
    """

    def __init__(
        self, folder: Path, inputs: Sequence[Path], kinds: Mapping[str, Kind], *, model: str, digest: str
    ) -> None:
        _need_highdicom()
        self._paths = MaskPaths(folder, inputs, kinds, suffix=".dcm", option="--dicom-seg")
        self._model = model
        self._digest = digest

    def plan(self, files: Sequence[Path]) -> Iterator[Path]:
        """See :class:`~dermtl.runtime.outputs.sink.Sink`; pictures must be DICOM files."""
        for file in files:
            if not is_dicom(file):
                hint = "--masks writes PNG files for pictures of any format"
                raise InputError("is no DICOM file, so no segmentation can reference it", where=str(file), hint=hint)
            yield from self._paths.of(file).values()

    def write(self, file: Path, prediction: Prediction) -> None:
        """See :class:`~dermtl.runtime.outputs.sink.Sink`.

        Raises:
            InputError: The picture lacks an element that a segmentation needs, or has one that DICOM does not allow.
            DataError: A file cannot be written.
        """
        source = _read_source(file)
        for name, path in self._paths.of(file).items():
            mask, content = self._paths.masks[name], io.BytesIO()
            decided = mask.decide(prediction.values[name])
            try:
                _segmentation(source, decided, mask, name, self._model, self._digest).save_as(content)
            except (
                ValueError,
                TypeError,
                AttributeError,
                LookupError,
            ) as error:  # from pydicom
                reason = " ".join(str(error).split())
                raise InputError(f"no segmentation can be made of it: {reason}", where=str(file)) from error
            write_atomic(path, content.getvalue())


def _read_source(file: Path) -> Any:
    """The elements of a picture, with everything that a segmentation copies or references."""
    from pydicom import dcmread

    source = dcmread(file, stop_before_pixels=True)
    for element in _NEEDED:
        if not source.get(element):
            raise InputError(f"lacks the element {element}, which a segmentation references", where=str(file))
    for element in _MAY_BE_EMPTY:
        if element not in source:
            setattr(source, element, None)
    return source


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
            # The meaning of a class name is unknown here: a neutral category, and a private code.
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
        warnings.simplefilter("ignore")  # about elements of the source that it does not use
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
