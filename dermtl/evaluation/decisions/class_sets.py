"""Sets of classes in place of the likeliest one: fitted on validation, judged on other records."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import ConfigError, DataError
from dermtl.evaluation.metrics.estimates import proportion_estimate, wilson_ends, with_intervals
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.runtime.class_set import ClassSet
from dermtl.statistics.conformal import set_threshold
from dermtl.statistics.means import weighted_means
from dermtl.statistics.operating_point import just_below
from dermtl.statistics.proportion import Proportion


def fit_class_set(probabilities: Probabilities, groups: Sequence[str], coverage: float) -> ClassSet:
    """Choose the probability from which on a class is in the set.

    Args:
        probabilities: Probabilities of a head on the validation records, its temperature applied.
        groups: The group of every record, [m].
        coverage: Share of pictures whose set is to hold the true class.

    Raises:
        ConfigError: The coverage is no share between 0 and 1.
        DataError: The head has labels, not classes, or there are too few groups.
    """
    if not 0 < coverage < 1:
        raise ConfigError(f"expected a share above 0 and below 1, got {coverage:g}", where="conformal")
    if not probabilities.exclusive:
        raise DataError("a set is one of classes; labels exclude nothing", hint="each label has its own threshold")
    chosen = just_below(
        probabilities.values.ravel(), set_threshold(probabilities.values[probabilities.truth], groups, coverage)
    )
    held = probabilities.values >= chosen
    achieved = {
        "records": len(probabilities),
        "groups": len(set(groups)),
        "coverage": float(held[probabilities.truth].mean()),
        "mean_size": float(held.sum(axis=1).mean()),
    }
    return ClassSet(probabilities.head, probabilities.output, coverage, chosen, achieved)


def class_set_metrics(
    class_set: ClassSet, probabilities: Probabilities, groups: Sequence[str], *, resamples: int
) -> dict[str, Any]:
    """How a frozen set does on other records.

    Args:
        class_set: The set.
        probabilities: Probabilities of the set's head on the other records, its temperature applied.
        groups: The group of every record, [m].
        resamples: Number of bootstrap resamples.

    Returns:
        ``promised`` coverage and ``threshold``; ``figures``: ``coverage``, ``mean_size``, and the shares of sets with
        one class (``single``) and none (``empty``), each with value, low, high, n and, of shares, ``wilson``;
        ``by_class``: class to the coverage of own records; ``sizes``: records whose set has 0, 1, ... K classes.
    """
    held = probabilities.values >= class_set.threshold
    covered, size = held[probabilities.truth], held.sum(axis=1)
    rows: dict[str, Array] = {"coverage": covered, "mean_size": size, "single": size == 1, "empty": size == 0}
    estimates = with_intervals(weighted_means(rows), groups, resamples=resamples)
    figures: dict[str, dict[str, Any]] = {
        name: {**figure, "n": len(probabilities)} for name, figure in estimates.items()
    }
    for name in ("coverage", "single", "empty"):
        figures[name]["wilson"] = wilson_ends(_share(rows[name]))
    by_class = {name: _share(covered[probabilities.truth[:, index]]) for index, name in enumerate(probabilities.names)}
    return {
        "promised": class_set.coverage,
        "threshold": class_set.threshold,
        "figures": figures,
        "by_class": {name: proportion_estimate(share) for name, share in by_class.items()},
        "sizes": np.bincount(size, minlength=len(probabilities.names) + 1).tolist(),
    }


def _share(hits: Array) -> Proportion:
    return Proportion(int(hits.sum()), len(hits))
