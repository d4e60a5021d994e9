"""The two ends of a lesion's long axis: read from its outline, kept in order from top to bottom. NumPy only."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from dermtl.api import Array, Frame, Kind, Points, Record, View, read_mask

_NAMES = ("upper", "lower")


@dataclass(frozen=True)
class Axis(Kind):
    """Annotation and value: float32 [2, 2], upper and lower end, x and y in source pixels; target: in network pixels.

    Attributes:
        mask: Manifest column with the path of the outline's mask.
    """

    kind: ClassVar[str] = "axis"
    spatial: ClassVar[bool] = True
    mask: str = "mask"

    def read(self, record: Record) -> Array | None:
        """The ends of the outline's long axis; None without a mask, or with an empty one."""
        path = record.file(self.mask)
        return None if path is None else long_axis(read_mask(path))

    def encode(self, annotation: Array, view: View) -> Array | None:
        """The ends under the view, in order again, as a turn may exchange them; None where the middle is lost."""
        moved = view.affine.points(annotation)
        middle = moved.mean(axis=0)
        return in_order(moved) if ((middle >= 0) & (middle <= view.size)).all() else None

    def restore(self, value: Any, frame: Frame) -> Any:
        """The ends in source pixels."""
        return frame.points(value)

    @property
    def shape(self) -> tuple[int | str, ...]:
        """[2, 2]."""
        return (2, 2)

    def core_kind(self) -> Kind:
        """Two points: once found, the ends need no outline."""
        return Points(_NAMES)

    def to_json(self, value: Array) -> dict[str, Any]:
        """The ends, and the distance between them in pixels."""
        return {**self.core_kind().to_json(value), "length_px": float(np.hypot(*(value[0] - value[1])))}

    def columns(self, value: Array) -> dict[str, float]:
        """X and y of both ends."""
        return self.core_kind().columns(value)

    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """A dot for each end."""
        return self.core_kind().draw(image, value)


def long_axis(mask: Array) -> Array | None:
    """The ends of the long axis: through the centroid along the first principal direction, as far as the outline goes.

    Args:
        mask: [H, W], the lesion above 127.

    Returns:
        float32 [2, 2] in the mask's pixels, from top to bottom, or None for an empty mask.
    """
    rows, columns = np.nonzero(mask > 127)
    if len(rows) < 2:
        return None
    xy = np.stack([columns + 0.5, rows + 0.5], axis=1)
    middle = xy.mean(axis=0)
    direction = np.linalg.eigh(np.cov((xy - middle).T))[1][:, -1]
    along = (xy - middle) @ direction
    return in_order(middle + np.array([[along.min()], [along.max()]]) * direction)


def in_order(ends: Array) -> Array:
    """Two points, [2, 2], from top to bottom, float32."""
    return np.asarray(ends[np.argsort(ends[:, 1], kind="stable")], np.float32)
