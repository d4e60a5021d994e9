"""Metrics of the probabilities of independent labels. NumPy only, no torch."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl.statistics import weighted_means
from dermtl_classification.per_class import Macro, areas, named
from dermtl_classification.tags.config import TagsConfig

THRESHOLD = 0.5


class TagsMetrics:
    """Areas of the ranking, sensitivity, specificity, F1 at one half, and the share of records with all labels right.

    A label without a positive has no sensitivity and no F1, one without a negative no specificity, and neither has an
    AUROC (NaN); the means are over the labels that have one.
    """

    primary: ClassVar[str] = "macro_auroc"

    def __init__(self, config: TagsConfig) -> None:
        self._labels = config.labels

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record's probabilities and labels, float [K] both."""
        return {"probability": prediction["probability"], "annotation": annotation}

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Rows stacked, ``probability`` and ``annotation`` [n, K] both, to values in 0..1."""
        return self.weighted(rows)(np.ones(len(rows["annotation"]), np.int64))

    def weighted(self, rows: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
        """The same for weights, int [n], with all sorting done once."""
        probability, truth = np.asarray(rows["probability"], np.float64), rows["annotation"] > THRESHOLD
        decided = probability >= THRESHOLD
        right = decided == truth
        ranked = areas(probability, truth)
        # F1 = 2 TP / (2 TP + FP + FN) = 2 TP / (positives + predicted positives).
        sums = np.concatenate([truth, right & truth, ~truth, right & ~truth, decided], axis=1).astype(np.float64)
        exact = weighted_means({"exact_match": right.all(axis=1).astype(np.float64)})

        def per_class(weights: Array) -> dict[str, Array]:
            positive, hit, negative, passed, called = (weights @ sums).reshape(5, -1)
            return {
                "sensitivity": _ratio(hit, positive),
                "specificity": _ratio(passed, negative),
                "f1": np.where(positive > 0, _ratio(2 * hit, positive + called), np.nan),
                **ranked(weights),
            }

        macro = Macro(per_class(np.ones(len(truth), np.int64)))

        def figures(weights: Array) -> dict[str, float]:
            found = per_class(weights)
            return {
                "macro_auroc": macro.mean("auroc", found["auroc"]),
                "macro_average_precision": macro.mean("average_precision", found["average_precision"]),
                "sensitivity": macro.mean("sensitivity", found["sensitivity"]),
                "specificity": macro.mean("specificity", found["specificity"]),
                "macro_f1": macro.mean("f1", found["f1"]),
                **exact(weights),
                **named(found, self._labels),
            }

        return figures


def _ratio(part: Array, whole: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))
