"""The keys of ``type: circle``. Knows no torch."""

from typing import Literal

from pydantic import Field

from dermtl.api import Circle, HeadConfig, Kind


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

    def target(self) -> Kind:
        """The circle."""
        return Circle(self.cx, self.cy, self.r, self.mask, self.allow_anisotropic)

    def outputs(self) -> dict[str, Kind]:
        """``circle``."""
        return {"circle": self.target()}
