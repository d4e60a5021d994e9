"""The keys of ``type: circle``. Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr, model_validator

from dermtl.api import Array, Circle, HeadConfig, Kind, Mask, Prediction, Record

_MAX_RECORDS = 200  # of which the median radius and the trivial circles are made; masks take long to read


class CircleConfig(HeadConfig):
    """A centre and a radius, learned from circles or derived from another head's outline."""

    cx: str = Field("cx", description="Manifest column of the centre's x in source pixels.")
    cy: str = Field("cy", description="Manifest column of the centre's y in source pixels.")
    r: str = Field("r", description="Manifest column of the radius in source pixels.")
    mask: str = Field("", description="Column with a mask's path to derive the circle from instead (equal area).")
    from_: str = Field(
        "",
        alias="from",
        description="Head from whose outline the circle is derived, by centre of gravity and area, without learning.",
    )
    class_: str = Field(
        "", alias="class", description="Class of the outline that from names; not needed if it has one class."
    )
    allow_anisotropic: bool = Field(False, description="Allow augmentations that turn circles into ellipses.")
    stride: Literal[4, 8] = Field(8, description="Stride of the feature map from which the centre is read: 4 or 8.")
    channels: int = Field(64, ge=8, multiple_of=8, description="Number of channels of that feature map.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of the features that are dropped before the radius is computed."
    )
    mean_circle: tuple[float, float, float] | None = Field(
        None,
        description="Trivial baseline: centre by width and height, radius by the longer side; null: of the training "
        "records.",
    )
    median_radius: float | None = Field(
        None,
        gt=0,
        description="Radius that learning starts from, by the picture's longer side; null: of the training records.",
    )
    _channel: int = PrivateAttr(0)

    @classmethod
    def suggest(cls, columns: Mapping[str, Sequence[str]]) -> Mapping[str, Mapping[str, Any]]:
        """A head for the columns ``cx``, ``cy`` and ``r`` if all of them hold numbers."""
        keys = {column: column for column in ("cx", "cy", "r")}
        return {"circle": keys} if all(columns.get(column) for column in keys) else {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.class_ and not self.from_:
            raise ValueError("class names a class of the outline that 'from' names; give 'from' as well")
        return self

    @property
    def channel(self) -> int:
        """Index, from 0, of the class in the outline that ``from`` names."""
        return self._channel

    def target(self) -> Kind:
        """The circle."""
        return Circle(self.cx, self.cy, self.r, self.mask, self.allow_anisotropic)

    def outputs(self) -> dict[str, Kind]:
        """``circle``."""
        return {"circle": self.target()}

    def reads(self) -> tuple[str, ...]:
        """The head that ``from`` names."""
        return (self.from_,) if self.from_ else ()

    def connected(self, outputs: Mapping[str, Kind]) -> Self:
        """A copy that knows which class of the outline is meant.

        Raises:
            ValueError: The head has no output ``mask`` of the kind mask, or ``class`` names none of its classes.
        """
        kind = outputs.get(f"{self.from_}.mask")
        classes = kind.classes if isinstance(kind, Mask) else ()
        if not classes:
            found = ", ".join(f"{name} ({other.kind})" for name, other in outputs.items())
            raise ValueError(f"a circle needs the mask of an outline, head {self.from_!r} gives {found}")
        known = ", ".join(classes)
        if not self.class_ and len(classes) > 1:
            raise ValueError(f"head {self.from_!r} outlines several classes: {known}; say which with 'class'")
        if self.class_ and self.class_ not in classes:
            raise ValueError(f"head {self.from_!r} outlines no class {self.class_!r}; its classes: {known}")
        copy = self.model_copy()
        copy._channel = classes.index(self.class_) if self.class_ else 0
        return copy

    def fitted(self, records: Sequence[Record]) -> Self:
        """A copy with the median radius and the mean circle of at most 200 training records, evenly spread."""
        kind, shares = self.target(), []
        chosen = np.linspace(0, len(records) - 1, min(len(records), _MAX_RECORDS)).round().astype(int)
        for record in (records[index] for index in chosen):
            if (circle := kind.read(record)) is not None:
                shares.append(circle / _scale(record.size_hw))
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
        scale, centred = _scale(size_hw), np.array([0.5, 0.5, self.median_radius])
        return {"constant": {"circle": np.array(self.mean_circle) * scale}, "centred": {"circle": centred * scale}}


def _scale(size_hw: tuple[int, int]) -> Array:
    """Width, height and longer side: lengths as shares of the longer side survive the letterbox."""
    height, width = size_hw
    return np.array([width, height, max(height, width)], np.float64)
