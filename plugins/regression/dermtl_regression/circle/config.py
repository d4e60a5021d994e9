"""The keys of ``type: circle``. Knows no torch."""

from collections.abc import Mapping, Sequence
from math import hypot
from typing import Literal, Self

import numpy as np
from pydantic import Field

from dermtl.api import Circle, HeadConfig, Kind, Prediction, Record

_MAX_RECORDS = 200  # of which trivial circles are made; masks take long to read


class CircleConfig(HeadConfig):
    """A centre and a radius, by regression."""

    cx: str = Field("cx", description="Manifest column of the centre's x in source pixels.")
    cy: str = Field("cy", description="Manifest column of the centre's y in source pixels.")
    r: str = Field("r", description="Manifest column of the radius in source pixels.")
    mask: str = Field("", description="Column with a mask's path to derive the circle from instead (equal area).")
    allow_anisotropic: bool = Field(False, description="Carry circles through views that turn them into ellipses.")
    dropout: float = Field(0.2, ge=0, lt=1)
    xy: Literal["linear", "soft_argmax"] = Field(
        "linear", description="Centre from the pooled features, or as the expected place on a feature map."
    )
    loss: Literal["quadratic", "smooth_l1", "circle_giou", "quadratic+circle_giou"] = "quadratic"
    lambda_r: float = Field(1.0, gt=0, description="Weight of the radius in quadratic and smooth_l1.")
    giou_weight: float = Field(0.5, gt=0, description="Weight of circle_giou beside quadratic.")
    mean_circle: tuple[float, float, float] | None = Field(
        None,
        description="Trivial baseline: centre by width and height, radius by diagonal; null: of the training records.",
    )
    median_radius: float | None = Field(
        None, description="Trivial baseline: radius by diagonal of a centred circle; null: of the training records."
    )

    def target(self) -> Kind:
        """The circle."""
        return Circle(self.cx, self.cy, self.r, self.mask, self.allow_anisotropic)

    def outputs(self) -> dict[str, Kind]:
        """``circle``."""
        return {"circle": self.target()}

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with the circles of the trivial baselines, from up to 200 training records evenly spread."""
        kind, shares = self.target(), []
        for record in records[:: max(1, len(records) // _MAX_RECORDS)]:
            if (circle := kind.read(record)) is not None:
                height, width = record.size_hw
                shares.append(circle / np.array([width, height, hypot(width, height)]))
        if not shares:
            return self
        mean, median = np.mean(shares, axis=0), float(np.median(np.array(shares)[:, 2]))
        return self.model_copy(
            update={
                "mean_circle": self.mean_circle or tuple(float(value) for value in mean),
                "median_radius": self.median_radius or median,
            }
        )

    def baselines(self, size_hw: tuple[int, int]) -> Mapping[str, Prediction]:
        """``constant``, the training records' mean circle, and ``centred``, in the middle with their median radius."""
        if self.mean_circle is None or self.median_radius is None:
            return {}
        height, width = size_hw
        scale = np.array([width, height, hypot(width, height)])
        centred = np.array([0.5, 0.5, self.median_radius])
        return {"constant": {"circle": self.mean_circle * scale}, "centred": {"circle": centred * scale}}
