"""The keys of ``type: segmentation``. Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from dermtl.api import AnnotationError, HeadConfig, Kind, Mask, PartialMask, Record

UNET_CHANNELS = (256, 128, 64, 32, 16)
FPN_CHANNELS = 128


class SegmentationConfig(HeadConfig):
    """Outlines from the backbone's pyramid of feature maps."""

    classes: tuple[str, ...] = Field(
        ("foreground",),
        min_length=1,
        description="Names of the foreground classes; with several, a mask's pixels hold the class's number from 1.",
    )
    column: str = Field("mask", description="Manifest column with the mask's path.")
    ignore: int | None = Field(
        None,
        ge=1,
        le=255,
        description="Value of mask pixels that neither the loss nor the metrics count, such as VOC's 255; one class is "
        "then 1.",
    )
    decoder: Literal["unet", "fpn"] = Field("unet", description="Decoder of the feature pyramid.")
    channels: tuple[PositiveInt, ...] | PositiveInt | None = Field(
        None,
        description="Channels of the decoder; unet: a list, one entry per step from coarse to fine, default 256, 128, "
        "64, 32, 16; fpn: one number, default 128.",
    )
    norm: Literal["batch", "group"] = Field(
        "batch", description="Norm of the decoder: batch, or group, for fewer than 8 pictures per device."
    )
    loss: Literal["bce_dice", "bce", "dice"] = Field(
        "bce_dice",
        description="Terms of the loss: bce, dice or both; with several classes, bce is cross-entropy with background.",
    )

    @classmethod
    def suggest(cls, columns: Mapping[str, Sequence[str]]) -> Mapping[str, Mapping[str, Any]]:
        """A head for the column ``mask`` if any cell names a file."""
        return {"outline": {"column": "mask"}} if columns.get("mask") else {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is listed twice")
        if self.ignore is not None and self.ignore <= len(self.classes):
            raise ValueError(f"ignore: {self.ignore} is the number of a class")
        if self.decoder == "unet" and (isinstance(self.channels, int) or self.channels == ()):
            raise ValueError("the unet decoder needs a list of channels")
        if self.decoder == "fpn" and isinstance(self.channels, tuple):
            raise ValueError("the fpn decoder needs one number of channels")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the decoder's steps, with defaults filled in; one entry for fpn."""
        if self.decoder == "fpn":
            return (self.channels if isinstance(self.channels, int) else FPN_CHANNELS,)
        return self.channels if isinstance(self.channels, tuple) else UNET_CHANNELS

    def mask(self) -> Mask:
        """The kind of the output."""
        return Mask(self.classes, self.column)

    def target(self) -> Kind:
        """The class of every pixel."""
        return self.mask() if self.ignore is None else PartialMask(self.classes, self.column, self.ignore)

    def outputs(self) -> dict[str, Kind]:
        """``mask``: the probability of each class at each pixel."""
        return {"mask": self.mask()}

    def fitted(self, records: Sequence[Record]) -> Self:
        """This config, after a look at whether ``ignore`` leaves any pixel of a class.

        Raises:
            AnnotationError: No training record has one: masks of 0 and 255 with ``ignore: 255``, for example.
        """
        if self.ignore is None:
            return self
        masks = (self.target().read(record) for record in records)
        if any(mask is not None and ((mask > 0) & (mask <= len(self.classes))).any() for mask in masks):
            return self
        raise AnnotationError(
            f"no mask of the training records holds a pixel of {', '.join(self.classes)} beside the ignored value "
            f"{self.ignore}",
            hint="leave the key ignore out if that value is the foreground",
        )
