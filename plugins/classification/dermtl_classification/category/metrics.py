"""How good class probabilities are. NumPy only, no torch."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.ranking import auroc, mean_known, share


class ClassificationMetrics:
    """Balanced accuracy, accuracy, macro AUROC, and sensitivity and AUROC of every class.

    A class without a record has no sensitivity and no AUROC (NaN) and enters no mean.
    """

    primary: ClassVar[str] = "balanced_accuracy"

    def __init__(self, config: ClassificationConfig) -> None:
        self._classes = config.classes or ()

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record's probabilities, float [K], and the index of its class."""
        return {"probability": prediction["probability"], "annotation": np.asarray(annotation)}

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Rows stacked, ``probability`` [n, K] and ``annotation`` [n], to values in 0..1.

        Source: balanced accuracy is the mean of the classes' sensitivities; macro AUROC the mean of one-vs-rest areas.
        """
        probability, annotation = rows["probability"], rows["annotation"]
        right = probability.argmax(axis=1) == annotation
        truths = {name: annotation == index for index, name in enumerate(self._classes)}
        sensitivity = {name: share(right, truth) for name, truth in truths.items()}
        area = {name: auroc(probability[:, index], truths[name]) for index, name in enumerate(self._classes)}
        return {
            "balanced_accuracy": mean_known(sensitivity.values()),
            "accuracy": share(right, np.ones_like(right)),
            "macro_auroc": mean_known(area.values()),
            **{f"sensitivity.{name}": value for name, value in sensitivity.items()},
            **{f"auroc.{name}": value for name, value in area.items()},
        }
