"""Metrics of class probabilities. NumPy only, no torch."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from dermtl.api import Array, Measures, Prediction
from dermtl.statistics import Confusion, brier_rows, weighted_means
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.category.levels import level_figures
from dermtl_classification.per_class import Macro, areas, named


class ClassificationMetrics:
    """Metrics of the predicted (most probable) class, of the ranking by probability, and of the probabilities.

    A class without records has no sensitivity, F1 or area (NaN) and is left out of means. The two areas above a
    sensitivity of 80% are those of the Kaggle 2024 and of the ISIC challenges, which differ. With a taxonomy there are
    also metrics of each level.
    """

    primary: ClassVar[str] = "balanced_accuracy"

    def __init__(self, config: ClassificationConfig) -> None:
        self._classes = config.classes or ()
        self._levels = range(1, config.taxonomy.level + 1) if config.taxonomy is not None else ()

    def measure(self, prediction: Prediction, annotation: Array) -> Measures:
        """One record's probabilities, float [K], and the index of its class."""
        return {"probability": prediction["probability"], "annotation": np.asarray(annotation)}

    def summarise(self, rows: Mapping[str, Array]) -> dict[str, float]:
        """Rows stacked, ``probability`` [n, K] and ``annotation`` [n], to values.

        Source: balanced accuracy is the mean of the classes' sensitivities; macro AUROC the mean of one-vs-rest areas,
        weighted AUROC the same by the classes' shares; the others in dermtl.statistics.
        """
        return self.weighted(rows)(np.ones(len(rows["annotation"]), np.int64))

    def weighted(self, rows: Mapping[str, Array]) -> Callable[[Array], dict[str, float]]:
        """The same for weights, int [n], with all sorting done once."""
        probability, truth = np.asarray(rows["probability"], np.float64), rows["annotation"]
        num_classes = len(self._classes)
        decided = probability.argmax(axis=1)
        ranked = areas(probability, truth[:, None] == np.arange(num_classes))
        brier = weighted_means({"brier": brier_rows(probability, truth)})

        def per_class(weights: Array) -> tuple[Confusion, dict[str, Array]]:
            table = Confusion.of(truth, decided, num_classes, weights)
            own = {"sensitivity": table.sensitivity(), "specificity": table.specificity(), "f1": table.f1()}
            return table, {**own, **ranked(weights)}

        macro = Macro(per_class(np.ones(len(truth), np.int64))[1])
        levels = [level_figures(self._classes, level, probability, truth) for level in self._levels]

        def figures(weights: Array) -> dict[str, float]:
            table, found = per_class(weights)
            return {
                "balanced_accuracy": macro.mean("sensitivity", found["sensitivity"]),
                "accuracy": table.accuracy(),
                "macro_auroc": macro.mean("auroc", found["auroc"]),
                "weighted_auroc": macro.mean("auroc", found["auroc"], table.counts.sum(axis=1)),
                "macro_average_precision": macro.mean("average_precision", found["average_precision"]),
                "macro_f1": macro.mean("f1", found["f1"]),
                "kappa": table.kappa(),
                "mcc": table.mcc(),
                **brier(weights),
                **{metric: value for level in levels for metric, value in level(weights).items()},
                **named(found, self._classes),
            }

        return figures
