"""Metrics of plain numbers, in their own units. NumPy only, no torch."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl_regression.number.config import NumberConfig


class NumberMetrics:
    """Mean absolute error, root mean square error, bias and R2 of every number, and the mean of the R2.

    R2 is NaN if it is not estimable: fewer than two records, or all with the same true value.
    """

    primary: ClassVar[str] = "r2"

    def __init__(self, config: NumberConfig) -> None:
        self._names = config.names

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record's numbers and the true ones, float [D] both."""
        return {"value": prediction["value"], "annotation": annotation}

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Rows stacked, ``value`` and ``annotation`` [n, D] both; errors are predicted minus true.

        Source: R2 = 1 - sum of squared errors / sum of squared deviations of the truth from its mean.
        """
        true = np.asarray(rows["annotation"], np.float64)
        error = np.asarray(rows["value"], np.float64) - true
        r2 = {name: _r2(error[:, i], true[:, i]) for i, name in enumerate(self._names)}
        known = [value for value in r2.values() if value == value]
        return {
            "r2": sum(known) / len(known) if known else float("nan"),
            **{f"mae.{name}": _mean(np.abs(error[:, i])) for i, name in enumerate(self._names)},
            **{f"rmse.{name}": _mean(error[:, i] ** 2) ** 0.5 for i, name in enumerate(self._names)},
            **{f"bias.{name}": _mean(error[:, i]) for i, name in enumerate(self._names)},
            **{f"r2.{name}": value for name, value in r2.items()},
        }


def _r2(error: Array, true: Array) -> float:
    if len(true) < 2 or np.ptp(true) == 0:
        return float("nan")
    return float(1 - (error**2).sum() / ((true - true.mean()) ** 2).sum())


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
