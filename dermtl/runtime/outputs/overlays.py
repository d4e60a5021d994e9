"""Overlays: pictures with their predictions drawn onto them, in the folders of the originals."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from dermtl.errors import InputError
from dermtl.files.atomic import write_atomic
from dermtl.imaging.decode import read_image
from dermtl.runtime.outputs.output_paths import OutputPaths
from dermtl.runtime.prediction import Prediction

_JPEG = frozenset({".jpg", ".jpeg"})
JPEG_QUALITY = 92


class Overlays:
    """A folder of overlays; see :class:`~dermtl.runtime.outputs.sink.Sink`.

    JPEG files keep their name, others become ``<name>.png``, so that no two overlays share a name.

    Args:
        folder: The folder of the overlays.
        inputs: The files and folders that were named.

    Raises:
        InputError: ``folder`` lies inside a folder of pictures.
    """

    def __init__(self, folder: Path, inputs: Sequence[Path]) -> None:
        self._paths = OutputPaths(folder, inputs)

    def plan(self, files: Sequence[Path]) -> Iterator[Path]:
        """See :class:`~dermtl.runtime.outputs.sink.Sink`."""
        for file in files:
            path = self._path(file)
            if path.resolve() == file.resolve():
                raise InputError("is the picture itself", where=str(path), hint="choose another folder for overlays")
            yield path

    def write(self, file: Path, prediction: Prediction) -> None:
        """See :class:`~dermtl.runtime.outputs.sink.Sink`; reads the picture again."""
        drawn = Image.fromarray(prediction.draw(read_image(file)))
        path, content = self._path(file), io.BytesIO()
        if path.suffix.lower() in _JPEG:
            drawn.save(content, "JPEG", quality=JPEG_QUALITY)
        else:
            drawn.save(content, "PNG")
        write_atomic(path, content.getvalue())

    def _path(self, file: Path) -> Path:
        path = self._paths.of(file)
        return path if path.suffix.lower() in _JPEG else path.with_name(f"{path.name}.png")
