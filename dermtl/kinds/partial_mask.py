"""An outline of which some pixels are not known: their value says that neither loss nor metrics count them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import AnnotationError
from dermtl.kinds.mask import Mask
from dermtl.kinds.record import Record


@dataclass(frozen=True)
class PartialMask(Mask):
    """A truth only; predictions are of kind :class:`Mask`.

    Annotation and target: uint8 [H, W], 0 for background, 1..C for the classes, 255 for pixels that are not known.

    Attributes:
        ignore: Value of such pixels in the file, such as VOC's 255 for borders between objects.
    """

    IGNORED: ClassVar[int] = 255
    ignore: int = 255

    @property
    def is_numbered(self) -> bool:
        """The file holds numbers, also below a palette."""
        return True

    def read(self, record: Record) -> Array | None:
        """The class of every pixel; an empty cell is no annotation."""
        values = self.read_values(record)
        if values is None:
            return None
        ignored = values == self.ignore
        rest = np.where(ignored, 0, values).astype(np.uint8)
        if self.ignore == 255 and len(self.classes) == 1 and int(rest.max(initial=0)) > 1:
            path, top = record.text(self.column), int(rest.max())
            message = f"mask {path} holds values up to {top}, expected 0, 1 and {self.ignore}, which is ignored"
            raise AnnotationError(message, where=record.where)
        return np.where(ignored, self.IGNORED, self.judge(rest, record)).astype(np.uint8)
