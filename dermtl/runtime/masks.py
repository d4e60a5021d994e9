"""Masks as PNG files, one a picture and output, written so that a table of pictures can name them as truth."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from dermtl.errors import InputError
from dermtl.files.atomic import write_atomic
from dermtl.kinds import Kind, Mask
from dermtl.runtime.places import place_files, refuse_existing
from dermtl.runtime.prediction import Prediction

Plan = Mapping[Path, Mapping[str, Path]]


def plan_masks(
    files: Sequence[Path],
    inputs: Sequence[Path],
    folder: Path,
    kinds: Mapping[str, Kind],
    *,
    overwrite: bool = False,
    suffix: str = ".png",
    option: str = "--masks",
) -> Plan:
    """Where masks go: ``<picture's name>.<head>.png``, in the folders of the pictures.

    Args:
        files: The pictures.
        inputs: The files and folders that were named.
        folder: Where masks go.
        kinds: Output name to kind.
        overwrite: Replace what is there.
        suffix: Of the files.
        option: What asked for them, for messages.

    Returns:
        Picture to output name to path.

    Raises:
        InputError: The model gives no mask, ``folder`` lies inside a folder of pictures, or a mask exists.
    """
    outputs = [name for name, kind in kinds.items() if isinstance(kind, Mask)]
    if not outputs:
        raise InputError("this model gives no mask", where=option, hint=f"it gives {', '.join(kinds)}")
    plan = {
        file: {name: path.with_name(f"{path.name}.{name.removesuffix('.mask')}{suffix}") for name in outputs}
        for file, path in place_files(files, inputs, folder).items()
    }
    if not overwrite:
        refuse_existing(path for paths in plan.values() for path in paths.values())
    return plan


def write_masks(prediction: Prediction, paths: Mapping[str, Path]) -> None:
    """Write a picture's masks, at its own size: 0 and 255 for one class, else 0 and the class's number from 1.

    Raises:
        DataError: A file cannot be written.
    """
    for name, path in paths.items():
        kind = prediction.kinds[name]
        assert isinstance(kind, Mask)
        decided = kind.decide(prediction.values[name])
        content = io.BytesIO()
        Image.fromarray(decided * 255 if len(kind.classes) == 1 else decided).save(content, "PNG")
        write_atomic(path, content.getvalue())
