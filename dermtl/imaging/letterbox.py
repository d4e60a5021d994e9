"""The one way from a picture of any size to the network's square, and back.

The picture is padded to a square of side max(height, width) with black, then resized to S x S with an antialiased
bilinear filter (a triangle whose support grows with the shrink factor), first along the width, then along the height,
rounding to whole levels each time, by the operator that the exported graph holds. Pictures decoded at a part of their
size lie in the square where the whole ones would. :class:`Frame` is what a kind needs for the way back.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.imaging.affine import Affine
from dermtl.imaging.decode import MAX_PIXELS, Reduced
from dermtl.imaging.resize import resize_hw
from dermtl.imaging.view import View

_CHUNK_PX = 4_000_000  # pixels that are padded at a time
_SLIM = 8  # how many times taller than wide a strip is


class Frame(Protocol):
    """From the network frame back to the source frame; NumPy here, tensors inside the exported graph.

    A kind's ``restore`` is written with these four only, so one text serves both.
    """

    def points(self, xy: Any) -> Any:
        """Map points [..., 2] in network pixels to source pixels."""

    def lengths(self, values: Any) -> Any:
        """Map lengths [...] in network pixels to source pixels."""

    def raster(self, values: Any) -> Any:
        """Map values on the network's grid [..., C, S, S] to the source's grid [..., C, H, W], bilinear."""

    def concat(self, parts: list[Any]) -> Any:
        """Join along the last axis."""


@dataclass(frozen=True)
class Letterbox:
    """The letterbox of one picture size.

    Attributes:
        source_hw: Height and width of the picture in pixels.
        size: Side S of the network's square input in pixels.
    """

    source_hw: tuple[int, int]
    size: int

    @classmethod
    def of(cls, image: Array | Reduced, size: int) -> "Letterbox":
        """The letterbox of a picture, uint8 [H, W, 3] or reduced, to a square of ``size`` pixels."""
        return cls(image.size_hw if isinstance(image, Reduced) else (image.shape[0], image.shape[1]), size)

    @property
    def side(self) -> int:
        """Side of the padded square in source pixels."""
        return max(self.source_hw)

    @property
    def _is_vast(self) -> bool:
        """Whether the square is larger than any picture may be: that of a strip, made from a file of 100 bytes."""
        return self.side**2 > MAX_PIXELS

    @property
    def offset_xy(self) -> tuple[int, int]:
        """Padding left of and above the picture, in source pixels."""
        height, width = self.source_hw
        return (self.side - width) // 2, (self.side - height) // 2

    @property
    def affine(self) -> Affine:
        """Source pixels to network pixels."""
        scale = self.size / self.side
        return Affine.scaling(scale, (self.offset_xy[0] * scale, self.offset_xy[1] * scale))

    @property
    def view(self) -> View:
        """The unaugmented view of this picture."""
        return View(self.affine, self.size, self.source_hw)

    def apply(self, image: Array | Reduced) -> Array:
        """Letterbox a picture.

        Args:
            image: uint8 [H, W, 3] of this letterbox's size, or that picture decoded at a part of it.

        Returns:
            uint8 [S, S, 3].
        """
        if isinstance(image, Reduced):
            if image.scale > 1:
                return self._apply_reduced(image.pixels, image.scale)
            image = image.pixels
        height, _ = self.source_hw
        _, top = self.offset_xy
        narrow = self._along_width(image)
        if height < self.side:
            padded = np.zeros((self.side, self.size, 3), np.uint8)
            padded[top : top + height] = narrow
            narrow = padded
        return np.asarray(resize_hw(narrow[None], (self.size, self.size))[0])

    def _along_width(self, image: Array) -> Array:
        """The first of the filter's two passes, uint8 [H, S, 3].

        The square is never laid out: rows above and below the picture are black before this pass and after it, and a
        picture that is taller than wide is padded a few rows at a time.
        """
        (height, width), side = self.source_hw, self.side
        if width == side:
            return np.asarray(resize_hw(image[None], (height, self.size))[0])
        if self._is_vast and width * _SLIM < side:
            return self._along_width_slim(image)
        left, _ = self.offset_xy
        narrow = np.empty((height, self.size, 3), np.uint8)
        rows = max(1, _CHUNK_PX // side)
        padded = np.zeros((min(rows, height), side, 3), np.uint8)
        for start in range(0, height, rows):
            part = image[start : start + rows]
            padded[: len(part), left : left + width] = part
            narrow[start : start + rows] = resize_hw(padded[None, : len(part)], (len(part), self.size))[0]
        return narrow

    def _along_width_slim(self, image: Array) -> Array:
        """The same of a strip, by Pillow, whose box leaves out the black that no output pixel of the strip sees.

        It differs by a level at one value in a thousand, which nobody's picture will show: a strip of 20000x1 pixels
        would otherwise take seconds.
        """
        (height, width), shrink = self.source_hw, self.side / self.size
        left, _ = self.offset_xy
        first = max(0, math.floor((left - shrink) / shrink))
        last = min(self.size, math.ceil((left + width + shrink) / shrink))
        start = math.floor((first - 1) * shrink)
        canvas = np.zeros((height, math.ceil((last + 1) * shrink) - start, 3), np.uint8)
        canvas[:, left - start : left - start + width] = image
        box = (first * shrink - start, 0, last * shrink - start, height)
        found = Image.fromarray(canvas).resize((last - first, height), Image.Resampling.BILINEAR, box=box)
        narrow = np.zeros((height, self.size, 3), np.uint8)
        narrow[:, first:last] = np.asarray(found)
        return narrow

    def _apply_reduced(self, pixels: Array, scale: int) -> Array:
        """The same from a part of the pixels; the square begins and ends between two, and Pillow's box says where."""
        (height, width), side = self.source_hw, self.side / scale
        left, top = (offset / scale for offset in self.offset_xy)
        x, y = math.ceil(left), math.ceil(top)
        rows, columns = pixels.shape[:2]
        # Not a pixel more than needed: the filter would reach for what lies beyond the box.
        room_hw = max(math.ceil(y - top + side), y + rows), max(math.ceil(x - left + side), x + columns)
        canvas = np.zeros((*room_hw, 3), np.uint8)
        canvas[y : y + rows, x : x + columns] = pixels
        # A last row or column that reaches beyond the picture is in part the black beside it.
        if height < self.side and (rest := height % scale):
            canvas[y + rows - 1] = np.rint(canvas[y + rows - 1] * (rest / scale))
        if width < self.side and (rest := width % scale):
            canvas[:, x + columns - 1] = np.rint(canvas[:, x + columns - 1] * (rest / scale))
        box = (x - left, y - top, x - left + side, y - top + side)
        resized = Image.fromarray(canvas).resize((self.size, self.size), Image.Resampling.BILINEAR, box=box)
        return np.asarray(resized)

    def points(self, xy: Array) -> Array:
        """See :class:`Frame`."""
        scale = self.side / self.size
        return np.asarray(np.asarray(xy) * scale - np.asarray(self.offset_xy, np.float32))

    def lengths(self, values: Array) -> Array:
        """See :class:`Frame`."""
        return np.asarray(values) * (self.side / self.size)

    def raster(self, values: Array) -> Array:
        """See :class:`Frame`; float32."""
        height, width = self.source_hw
        left, top = self.offset_xy
        shrink = self.size / self.side
        box = (left * shrink, top * shrink, (left + width) * shrink, (top + height) * shrink)
        planes = np.asarray(values, np.float32).reshape(-1, self.size, self.size)
        restored = np.empty((len(planes), height, width), np.float32)
        for index, plane in enumerate(planes):
            if self._is_vast:
                part = Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR, box=box)
                restored[index] = np.asarray(part)  # within 3e-5: Pillow holds the box in single precision
                continue
            square = Image.fromarray(plane).resize((self.side, self.side), Image.Resampling.BILINEAR)
            restored[index] = np.asarray(square)[top : top + height, left : left + width]
        return restored.reshape(*np.shape(values)[:-2], height, width)

    def concat(self, parts: list[Array]) -> Array:
        """See :class:`Frame`."""
        return np.concatenate(parts, axis=-1)
