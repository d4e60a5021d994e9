"""Pictures with their predictions drawn onto them, one file a picture, in the folders of the originals."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from dermtl.errors import InputError
from dermtl.files.atomic import write_atomic
from dermtl.imaging.decode import read_image
from dermtl.runtime.places import place_files, refuse_existing
from dermtl.runtime.prediction import Prediction

_JPEG = frozenset({".jpg", ".jpeg"})
JPEG_QUALITY = 92


def plan_overlays(
    files: Sequence[Path], inputs: Sequence[Path], folder: Path, *, overwrite: bool = False
) -> dict[Path, Path]:
    """Where each picture's overlay goes: its path below the folder that all inputs share.

    JPEG files keep their name, others become ``<name>.png``, so no two meet.

    Args:
        files: The pictures.
        inputs: The files and folders that were named.
        folder: Where overlays go.
        overwrite: Replace what is there.

    Raises:
        InputError: ``folder`` lies inside a folder of pictures, or an overlay exists.
    """
    planned = {
        file: path if path.suffix.lower() in _JPEG else path.with_name(f"{path.name}.png")
        for file, path in place_files(files, inputs, folder).items()
    }
    for file, path in planned.items():
        if path.resolve() == file.resolve():
            raise InputError("is the picture itself", where=str(path), hint="choose another folder for overlays")
    if not overwrite:
        refuse_existing(planned.values())
    return planned


def write_overlay(file: Path, prediction: Prediction, path: Path) -> None:
    """Read a picture again, draw its prediction and write it.

    Raises:
        ImageReadError: The picture cannot be read any more.
        InputError: It has changed its size.
        DataError: The overlay cannot be written.
    """
    drawn = Image.fromarray(prediction.draw(read_image(file)))
    content = io.BytesIO()
    if path.suffix.lower() in _JPEG:
        drawn.save(content, "JPEG", quality=JPEG_QUALITY)
    else:
        drawn.save(content, "PNG")
    write_atomic(path, content.getvalue())
