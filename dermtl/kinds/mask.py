"""An outline: which pixels belong to which class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageFilter

from dermtl.arrays import Array
from dermtl.errors import AnnotationError
from dermtl.imaging.decode import read_mask
from dermtl.imaging.letterbox import Frame
from dermtl.imaging.view import View
from dermtl.kinds.drawing import PALETTE, stroke_px
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record


@dataclass(frozen=True)
class Mask(Kind):
    """Annotation and target: uint8 [H, W], 0 for background and 1..C for the classes.

    Value: float32 [C, H, W], the probability of each class; the background has the rest.

    Attributes:
        classes: Names of the foreground classes. With one class, pixels of the file are 0 and 255 (or 0 and 1); with
            several, a pixel is the number of its class, counted from 1 in this order.
        column: Manifest column with the path of the mask.
    """

    kind: ClassVar[str] = "mask"
    spatial: ClassVar[bool] = True
    classes: tuple[str, ...] = ("foreground",)
    column: str = "mask"

    @property
    def is_numbered(self) -> bool:
        """Whether the file holds numbers of classes, also below a palette."""
        return len(self.classes) > 1

    def read(self, record: Record) -> Array | None:
        """The class of every pixel; an empty cell is no annotation."""
        values = self.read_values(record)
        return None if values is None else self.judge(values, record)

    def read_values(self, record: Record) -> Array | None:
        """The values that the file holds, uint8 [H, W]; an empty cell is no annotation.

        Raises:
            DataError: The file cannot be read, or has not its picture's size.
        """
        file, path = record.file(self.column), record.text(self.column)
        if file is None:
            return None
        values = read_mask(file, is_numbered=self.is_numbered)
        if values.shape != record.size_hw:
            got, expected = values.shape, record.size_hw
            raise AnnotationError(
                f"mask {path} has {got[1]}x{got[0]} pixels, its image {expected[1]}x{expected[0]}", where=record.where
            )
        return values

    def judge(self, values: Array, record: Record) -> Array:
        """The class of every pixel from the values of a file.

        Args:
            values: uint8 [H, W].
            record: The row, for messages.

        Raises:
            AnnotationError: There are values that no class has.
        """
        path, top = record.text(self.column), int(values.max(initial=0))
        if len(self.classes) == 1:
            if 1 < top < 128:
                raise AnnotationError(
                    f"mask {path} holds values up to {top}, expected 0 and 255, or 0 and 1", where=record.where
                )
            if is_void(values):
                raise AnnotationError(
                    f"mask {path} holds 1 and 255, and 255 beside 1 is how VOC marks what is to be ignored",
                    where=record.where,
                    hint="the head's key ignore: 255 leaves those pixels out; else save 0 and 255, or 0 and 1",
                )
            return foreground(values)
        if top > len(self.classes):
            raise AnnotationError(
                f"mask {path} holds the value {top}, but there are {len(self.classes)} classes",
                where=record.where,
                hint="pixels hold 0 for background and the class's number from 1",
            )
        return values

    def encode(self, annotation: Array, view: View) -> Array | None:
        """The classes at the centres of the network's pixels."""
        return view.raster(annotation)

    def restore(self, value: Any, frame: Frame) -> Any:
        """Probabilities at the pixels of the source picture."""
        return frame.raster(value)

    @property
    def shape(self) -> tuple[int | str, ...]:
        """[C, H, W]."""
        return (len(self.classes), "H", "W")

    def decide(self, value: Array) -> Array:
        """The most probable class of every pixel, including the background.

        Args:
            value: float [C, H, W].

        Returns:
            uint8 [H, W], 0 for background.
        """
        background = 1.0 - value.sum(axis=0)
        best = np.argmax(value, axis=0)
        return np.where(value.max(axis=0) >= background, best + 1, 0).astype(np.uint8)

    def to_json(self, value: Array) -> dict[str, Any]:
        """Area of each class in pixels and as a share of the picture."""
        decided = self.decide(value)
        areas = {name: int((decided == index).sum()) for index, name in enumerate(self.classes, 1)}
        return {"area_px": areas, "area_share": {name: area / decided.size for name, area in areas.items()}}

    def columns(self, value: Array) -> dict[str, float]:
        """Area of each class in pixels."""
        return {f"{name}.area_px": float(area) for name, area in self.to_json(value)["area_px"].items()}

    def truth_columns(self, annotation: Array) -> Mapping[str, float | str]:
        """Area of each class in pixels."""
        return {f"{name}.area_px": float((annotation == index).sum()) for index, name in enumerate(self.classes, 1)}

    def perfect_value(self, annotation: Array) -> Array:
        """Probability 1 of every pixel's class."""
        return np.stack([annotation == index for index in range(1, len(self.classes) + 1)]).astype(np.float32)

    def draw(self, image: Image.Image, value: Array) -> Image.Image:
        """A tint and an outline for each class."""
        canvas = image.copy()
        canvas.info.update(image.info)
        decided = self.decide(value)
        for index in range(1, len(self.classes) + 1):
            region = Image.fromarray((decided == index).astype(np.uint8) * 255)
            # An erosion: pixels that a box blur leaves at 255 have no other class around. MinFilter takes seconds.
            inner = region.filter(ImageFilter.BoxBlur(stroke_px(image) // 2)).point(lambda level: level // 255 * 255)
            edge = Image.fromarray(np.asarray(region) - np.asarray(inner))
            colour = PALETTE[(index - 1) % len(PALETTE)]
            canvas.paste(colour, mask=region.point(lambda level: level // 5))
            canvas.paste(colour, mask=edge)
        return canvas


def is_void(values: Array) -> bool:
    """Whether 255 is used beside class numbers: the values are 1, 255 and perhaps 0.

    Args:
        values: uint8 [H, W].
    """
    if values.max(initial=0) != 255:
        return False
    nums = np.bincount(values.ravel(), minlength=256)
    return bool(nums[1]) and not nums[2:255].any()


def foreground(values: Array) -> Array:
    """The foreground of a mask of one class: pixels above 127, or above 0 if no pixel is above 127.

    The limit of 127 ignores the noise of lossy files.

    Args:
        values: uint8 [H, W].

    Returns:
        uint8 [H, W] of 0 and 1.
    """
    return (values > (127 if values.max(initial=0) > 127 else 0)).astype(np.uint8)
