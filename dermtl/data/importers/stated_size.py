"""The sizes that annotations state, held against the pictures' own, before and after their EXIF rotation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermtl.errors import AnnotationError, DermtlError
from dermtl.imaging.decode import read_header


def refuse_other_size(image: Mapping[str, Any], picture: Path, where: str) -> None:
    """Check that the size that is stated for a picture with an object is that of its file as it is shown.

    A size that is not stated, and a file that is missing or cannot be read, are judged elsewhere.

    Raises:
        AnnotationError: The size is that of the stored file, which EXIF turns, or of another picture.
    """
    try:
        stated = (int(image["height"]), int(image["width"]))
        header = read_header(picture)
    except (KeyError, TypeError, ValueError, DermtlError):
        return
    shown, stored = header.size_hw, header.stored_hw
    if stated == shown:
        return
    size = f"{stated[1]}x{stated[0]}"
    if stated == stored:
        raise AnnotationError(
            f"{picture.name} is stored with {size} pixels and turned to {shown[1]}x{shown[0]} by EXIF orientation "
            f"{header.orientation}; the annotations state {size}, so their coordinates may be of either",
            where=where,
            hint="if they are of the picture as it is shown, exchange width and height in the annotations; "
            "if of the stored one, take the orientation out of the file",
        )
    raise AnnotationError(
        f"{picture.name} has {shown[1]}x{shown[0]} pixels, the annotations state {size}",
        where=where,
        hint="use the pictures that were annotated, or scale the annotations",
    )
