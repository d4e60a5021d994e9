"""Pictures with their predictions drawn onto them, one file a picture, in the folders of the originals."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from dermtl.data.atomic import write_atomic
from dermtl.errors import InputError
from dermtl.imaging.decode import read_image
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
    inside = folder.resolve()
    for path in inputs:
        if path.is_dir() and inside.is_relative_to(path.resolve()):
            hint = "the next run would predict its pictures; choose a folder elsewhere"
            raise InputError(f"lies inside {path}, which is read", where=str(folder), hint=hint)
    # The inputs' folder, not the files': it is the same for every shard.
    top = os.path.commonpath([_plain(path if path.is_dir() else path.parent) for path in inputs])
    planned = {file: folder / os.path.relpath(_plain(file), top) for file in files}
    planned = {
        file: path if path.suffix.lower() in _JPEG else path.with_name(f"{path.name}.png")
        for file, path in planned.items()
    }
    for file, path in planned.items():
        if path.resolve() == file.resolve():
            raise InputError("is the picture itself", where=str(path), hint="choose another folder for overlays")
        if path.exists() and not overwrite:
            raise InputError("exists already", where=str(path), hint="choose another folder, or pass --overwrite")
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


def _plain(path: Path) -> str:
    """An absolute path without dotted parts; links stay, since two pictures may be links to one."""
    return os.path.normpath(path.absolute())
