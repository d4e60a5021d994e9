"""One head's metrics with their intervals, and which method gave each."""

from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.evaluation.metrics.estimates import estimate, wilson_ends
from dermtl.evaluation.metrics.proportions import proportions
from dermtl.evaluation.metrics.record_scores import HeadScores, summarise, weighted
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.plugins.contract import Metrics
from dermtl.statistics.bootstrap import bootstrap
from dermtl.statistics.finite import finite_or_none

BOOTSTRAP, WILSON = "cluster bootstrap", "wilson"


def head_metrics(
    head: str,
    metrics: Metrics,
    scores: HeadScores,
    groups: Sequence[str],
    probabilities: Probabilities | None = None,
    *,
    baselines: Mapping[str, Mapping[str, float]] | None = None,
    resamples: int = 2000,
) -> dict[str, dict[str, Any]]:
    """Every metric of a head.

    A share of independent records has Wilson's interval: those that the head measured as truth values, and those that
    the core counts itself (accuracy, sensitivity, specificity). Where a group has several records, and of everything
    else, the interval comes from resampling groups.

    Args:
        head: Name of the head, for messages.
        metrics: The head's metrics.
        scores: What they measured.
        groups: The group of every record that was measured, [m].
        probabilities: The head's probabilities, where it has some.
        baselines: Trivial predictor to metric to value.
        resamples: Number of bootstrap resamples.

    Returns:
        Metric to ``value``, ``low``, ``high``, ``method`` of the interval, ``n`` records, ``redrawn`` resamples;
        ``wilson``, the ends of Wilson's interval, where the metric is a share; ``baselines``, if any. None is not
        estimable. Empty where nothing was measured.
    """
    if not len(scores):
        return {}
    values, table = summarise(head, metrics, scores.table), scores.table
    intervals = bootstrap(weighted(metrics, table), groups, resamples=resamples)
    counted = proportions(values, table, probabilities)
    # A column of numbers may be all zeros and ones by chance, as a distance of perfect outlines is.
    sure = {metric for metric in counted if metric not in table or table[metric].dtype.kind == "b"}
    is_independent = len(set(groups)) == len(groups)
    estimates = {}
    for metric, value in values.items():
        share = counted.get(metric)
        is_wilson = share is not None and is_independent and metric in sure
        low, high = share.interval() if share is not None and is_wilson else intervals[metric][:2]
        estimates[metric] = {
            **estimate(value, low, high, intervals[metric].redrawn),
            "method": WILSON if is_wilson else BOOTSTRAP,
            "n": len(scores),
            **({"wilson": wilson_ends(share)} if share is not None else {}),
            **({"baselines": {n: finite_or_none(of[metric]) for n, of in baselines.items()}} if baselines else {}),
        }
    return estimates
