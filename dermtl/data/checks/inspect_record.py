"""One record: its picture, its masks and its other truths, each looked at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from dermtl.data.checks.column_roles import Roles
from dermtl.data.checks.finding import Finding, found
from dermtl.data.checks.image import Picture, look
from dermtl.data.checks.mask import Outline, look_outline
from dermtl.data.checks.paths import check_path, missing
from dermtl.errors import DataError
from dermtl.imaging.header import Header
from dermtl.kinds import Record
from dermtl.kinds.record import safe_relative_path


@dataclass(frozen=True)
class Look:
    """What one record's files are.

    Attributes:
        record: The row.
        picture: Its picture.
        outlines: Its masks.
        findings: Faults of its paths and truths; those of the picture and the masks stand with these.
    """

    record: Record
    picture: Picture
    outlines: Sequence[Outline]
    findings: Sequence[Finding]


def look_at(record: Record, roles: Roles) -> Look:
    """Look at a record's picture, its masks and its other truths."""
    findings: list[Finding] = []
    picture = Picture(None, None, ())
    if record.path.is_file():
        picture = look(record.path, record.where, roles.image)
    else:
        findings.append(missing(record.image, record.root, record.where, roles.image, code="missing-file"))
    outlines = [
        outline
        for kind in roles.masks
        for outline in [_outline(record, kind.column, picture.header, findings, is_numbered=kind.is_numbered)]
        if outline is not None
    ]
    for other in roles.others:
        try:
            other.read(record)
        except DataError as error:
            findings.append(found("annotation", record.where, error.message, hint=error.hint))
    return Look(record, picture, outlines, findings)


def _outline(
    record: Record, column: str, image: Header | None, findings: list[Finding], *, is_numbered: bool
) -> Outline | None:
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
    return look_outline(record.root / path, path, image, record.where, column, is_numbered=is_numbered)
