"""One record: its picture, its masks and its other truths, each looked at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from dermtl.data.checks.column_roles import Roles
from dermtl.data.checks.finding import Finding, found
from dermtl.data.checks.image import InspectedImage, inspect_image
from dermtl.data.checks.mask import InspectedMask, inspect_mask
from dermtl.data.checks.paths import check_path, missing
from dermtl.errors import DataError
from dermtl.imaging.header import Header
from dermtl.kinds import Record
from dermtl.kinds.record import safe_relative_path


@dataclass(frozen=True)
class InspectedRecord:
    """What one record's files are.

    Attributes:
        record: The row.
        picture: What was seen of the record's picture.
        masks: What was seen of each of the record's masks.
        findings: Faults of the record's paths and truths; those of the picture and the masks stand with these.
    """

    record: Record
    picture: InspectedImage
    masks: Sequence[InspectedMask]
    findings: Sequence[Finding]


def inspect_record(record: Record, roles: Roles) -> InspectedRecord:
    """Look at a record's picture, its masks and its other truths."""
    findings: list[Finding] = []
    picture = InspectedImage(None, None, ())
    if record.path.is_file():
        picture = inspect_image(record.path, record.where, roles.image)
    else:
        findings.append(missing(record.image, record.root, record.where, roles.image, code="missing-file"))
    masks = [
        mask
        for kind in roles.masks
        for mask in [_mask(record, kind.column, picture.header, findings, is_numbered=kind.is_numbered)]
        if mask is not None
    ]
    for other in roles.others:
        try:
            other.read(record)
        except DataError as error:
            findings.append(found("annotation", record.where, error.message, hint=error.hint))
    return InspectedRecord(record, picture, masks, findings)


def _mask(
    record: Record, column: str, image: Header | None, findings: list[Finding], *, is_numbered: bool
) -> InspectedMask | None:
    text = record.cells[column].strip()
    if not text:
        return None
    findings += check_path(text, record.root, record.where, column)
    path = safe_relative_path(text)
    if path is None:
        return None
    if not (record.root / path).is_file():
        findings.append(missing(path, record.root, record.where, column, code="mask-missing"))
        return None
    return inspect_mask(record.root / path, path, image, record.where, column, is_numbered=is_numbered)
