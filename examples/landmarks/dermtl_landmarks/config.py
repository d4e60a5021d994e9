"""The keys of ``type: landmarks``. Knows no torch."""

from pydantic import Field

from dermtl.api import HeadConfig, Kind
from dermtl_landmarks.kind import Axis


class LandmarksConfig(HeadConfig):
    """The two ends of the lesion's long axis."""

    mask: str = Field("mask", description="Manifest column with the path of the outline's mask.")

    def target(self) -> Kind:
        """The ends."""
        return Axis(self.mask)

    def outputs(self) -> dict[str, Kind]:
        """``axis``."""
        return {"axis": self.target()}
