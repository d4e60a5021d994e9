"""A share of a count, with Wilson's interval. Assumes that the things counted are independent."""

from dataclasses import dataclass
from math import nan, sqrt
from statistics import NormalDist


@dataclass(frozen=True)
class Proportion:
    """So many of so many.

    Attributes:
        hits: Number that have the property, 0..num.
        num: Number that were counted, with the property or without.
    """

    hits: int
    num: int

    @property
    def value(self) -> float:
        """The share in 0..1; NaN of none."""
        return self.hits / self.num if self.num else nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wilson's interval in 0..1; NaN of none.

        Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.
        """
        if not self.num:
            return nan, nan
        z = normal_quantile(level)
        share, scale = self.value, 1 + z**2 / self.num
        middle = (share + z**2 / (2 * self.num)) / scale
        half = z / scale * sqrt(share * (1 - share) / self.num + z**2 / (4 * self.num**2))
        # Exact at the ends, where rounding would leave something beside 0 and 1.
        return (middle - half if self.hits else 0.0), (middle + half if self.hits < self.num else 1.0)


def normal_quantile(level: float) -> float:
    """Half the width, in standard errors, of a two-sided normal interval of this level."""
    return NormalDist().inv_cdf((1 + level) / 2)
