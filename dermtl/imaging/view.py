"""How one picture is seen by the network: letterboxed, and perhaps augmented.

A view is the geometry alone. Kinds use it to carry annotations along, so that truth and pixels cannot part.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dermtl.arrays import Array
from dermtl.imaging.affine import Affine


@dataclass(frozen=True)
class View:
    """The map from the source frame to the network frame.

    Attributes:
        affine: Source pixels to network pixels; the best fit where the view bends.
        size: Side S of the network frame in pixels.
        source_hw: Height and width of the picture in source pixels.
        bent_px: Largest distance in network pixels between the true map and ``affine``; 0 for a letterbox.
        lookup_xy: float32 [S, S, 2], for each network pixel the source point it shows, NaN where it shows none;
            None where the inverse of ``affine`` says it all.
    """

    affine: Affine
    size: int
    source_hw: tuple[int, int]
    bent_px: float = 0.0
    lookup_xy: Array | None = field(default=None, repr=False, compare=False)

    @cached_property
    def _source_index(self) -> tuple[Array, Array, Array]:
        """Row, column and validity of the source pixel under every network pixel centre."""
        if self.lookup_xy is None:
            centres = np.arange(self.size) + 0.5
            grid = np.stack(np.meshgrid(centres, centres), axis=-1)
            xy = self.affine.inverse().points(grid)
        else:
            xy = self.lookup_xy
        height, width = self.source_hw
        with np.errstate(invalid="ignore"):
            valid = (xy[..., 0] >= 0) & (xy[..., 0] < width) & (xy[..., 1] >= 0) & (xy[..., 1] < height)
        index = np.where(valid[..., None], xy, 0).astype(np.intp)
        return index[..., 1], index[..., 0], valid

    def raster(self, values: Array) -> Array:
        """Sample labels on the source's grid at the network's pixel centres (nearest).

        Args:
            values: [H, W] of the source's size.

        Returns:
            [S, S] of the same dtype; 0 outside the picture.
        """
        rows, columns, valid = self._source_index
        return np.where(valid, values[rows, columns], 0).astype(values.dtype)
