"""The protocol of everything that is written for each picture, beside its row."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from dermtl.runtime.prediction import Prediction


class Sink(Protocol):
    """A destination of predictions, such as a folder of overlays."""

    def plan(self, files: Sequence[Path]) -> Iterable[Path]:
        """The files that will be written if all pictures can be predicted. Writes nothing.

        Args:
            files: The pictures.

        Raises:
            InputError: Nothing can be written for one of the pictures.
        """

    def write(self, file: Path, prediction: Prediction) -> None:
        """Write the files of one picture; called from several threads.

        Args:
            file: The picture.
            prediction: The prediction of this picture.

        Raises:
            ImageReadError: The picture cannot be read any more.
            InputError: Nothing can be written for this picture.
            DataError: A file cannot be written.
        """
