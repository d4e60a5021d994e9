"""How good the probabilities of independent labels are. NumPy only, no torch."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl_classification.ranking import auroc, mean_known, share
from dermtl_classification.tags.config import TagsConfig

THRESHOLD = 0.5


class TagsMetrics:
    """Macro AUROC, sensitivity and specificity at one half, and the share of records with every label right.

    A label without a positive has no sensitivity, one without a negative no specificity, and neither has an AUROC
    (NaN); the means are over the labels that have one.
    """

    primary: ClassVar[str] = "macro_auroc"

    def __init__(self, config: TagsConfig) -> None:
        self._labels = config.labels

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record's probabilities and labels, float [K] both."""
        return {"probability": prediction["probability"], "annotation": annotation}

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Rows stacked, ``probability`` and ``annotation`` [n, K] both, to values in 0..1."""
        probability, truth = rows["probability"], rows["annotation"] > THRESHOLD
        right = (probability >= THRESHOLD) == truth
        columns = list(enumerate(self._labels))
        per_label = {
            "auroc": {name: auroc(probability[:, i], truth[:, i]) for i, name in columns},
            "sensitivity": {name: share(right[:, i], truth[:, i]) for i, name in columns},
            "specificity": {name: share(right[:, i], ~truth[:, i]) for i, name in columns},
        }
        exact = right.all(axis=1)
        return {
            "macro_auroc": mean_known(per_label["auroc"].values()),
            "sensitivity": mean_known(per_label["sensitivity"].values()),
            "specificity": mean_known(per_label["specificity"].values()),
            "exact_match": share(exact, np.ones_like(exact)),
            **{f"{metric}.{name}": value for metric, values in per_label.items() for name, value in values.items()},
        }
