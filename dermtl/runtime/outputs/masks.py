"""Masks as PNG files, in a form that a manifest can name as annotations."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from dermtl.errors import InputError
from dermtl.files.atomic import write_atomic
from dermtl.kinds import Kind, Mask
from dermtl.runtime.outputs.output_paths import OutputPaths
from dermtl.runtime.prediction import Prediction


class MaskPaths:
    """One file for each mask of a picture: ``<picture's name>.<head><suffix>``, in the folders of the pictures.

    Args:
        folder: The folder of the masks.
        inputs: The files and folders that were named.
        kinds: Output name to kind.
        suffix: Suffix of the files.
        option: The option that asked for them, for messages.

    Attributes:
        masks: Output name to mask.

    Raises:
        InputError: The model gives no mask, or ``folder`` lies inside a folder of pictures.
    """

    def __init__(
        self, folder: Path, inputs: Sequence[Path], kinds: Mapping[str, Kind], *, suffix: str, option: str
    ) -> None:
        self.masks = {name: kind for name, kind in kinds.items() if isinstance(kind, Mask)}
        if not self.masks:
            raise InputError("this model gives no mask", where=option, hint=f"it gives {', '.join(kinds)}")
        self._paths = OutputPaths(folder, inputs)
        self._suffix = suffix

    def of(self, file: Path) -> dict[str, Path]:
        """Output name to the file of this mask."""
        path = self._paths.of(file)
        return {name: path.with_name(f"{path.name}.{name.removesuffix('.mask')}{self._suffix}") for name in self.masks}


class Masks:
    """A folder of masks as PNG files; see :class:`~dermtl.runtime.outputs.sink.Sink`.

    A file has the size of its picture: 0 and 255 for a mask of one class, else 0 and the number of the class from 1.

    Args:
        folder: The folder of the masks.
        inputs: The files and folders that were named.
        kinds: Output name to kind.

    Raises:
        InputError: The model gives no mask, or ``folder`` lies inside a folder of pictures.
    """

    def __init__(self, folder: Path, inputs: Sequence[Path], kinds: Mapping[str, Kind]) -> None:
        self._paths = MaskPaths(folder, inputs, kinds, suffix=".png", option="--masks")

    def plan(self, files: Sequence[Path]) -> Iterator[Path]:
        """See :class:`~dermtl.runtime.outputs.sink.Sink`."""
        return (path for file in files for path in self._paths.of(file).values())

    def write(self, file: Path, prediction: Prediction) -> None:
        """See :class:`~dermtl.runtime.outputs.sink.Sink`."""
        for name, path in self._paths.of(file).items():
            mask = self._paths.masks[name]
            decided = mask.decide(prediction.values[name])
            content = io.BytesIO()
            Image.fromarray(decided * 255 if len(mask.classes) == 1 else decided).save(content, "PNG")
            write_atomic(path, content.getvalue())
