"""Affine maps of the plane in corner-origin coordinates."""

from dataclasses import dataclass

import numpy as np

from dermtl.arrays import Array


@dataclass(frozen=True)
class Affine:
    """x' = A x + b.

    Attributes:
        matrix: float64 [2, 3], the columns of A and then b, in pixels.
    """

    matrix: Array

    @classmethod
    def scaling(cls, scale: float, offset_xy: tuple[float, float] = (0.0, 0.0)) -> "Affine":
        """An isotropic scale followed by a shift in pixels."""
        return cls(np.array([[scale, 0.0, offset_xy[0]], [0.0, scale, offset_xy[1]]]))

    def points(self, xy: Array) -> Array:
        """Map points.

        Args:
            xy: float [..., 2] in pixels.
        """
        return np.asarray(np.asarray(xy, np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2])

    def lengths(self, values: Array) -> Array:
        """Map lengths in pixels, r' = r * sqrt(|det A|): the area of a disc follows the map exactly."""
        return np.asarray(np.asarray(values, np.float64) * np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    def then(self, after: "Affine") -> "Affine":
        """This map, and ``after`` applied to its result."""
        linear = after.matrix[:, :2] @ self.matrix
        linear[:, 2] += after.matrix[:, 2]
        return Affine(linear)

    def inverse(self) -> "Affine":
        """The map back."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return Affine(np.hstack([linear, -linear @ self.matrix[:, 2:]]))

    @property
    def anisotropy(self) -> float:
        """Largest over smallest singular value of A: 1 where circles stay circles."""
        singular = np.linalg.svd(self.matrix[:, :2], compute_uv=False)
        return float(singular[0] / singular[1])
