"""One head's metrics with their intervals, and which method gave each."""

from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.evaluation.metrics.estimates import estimate, finite_or_none
from dermtl.evaluation.metrics.proportions import proportions
from dermtl.evaluation.metrics.record_scores import RecordScores
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.statistics.bootstrap import bootstrap

BOOTSTRAP, WILSON = "cluster bootstrap", "wilson"


def head_metrics(
    head: str,
    scores: RecordScores,
    groups: Sequence[str],
    found: Probabilities | None = None,
    *,
    trivial: Mapping[str, Mapping[str, float]] | None = None,
    resamples: int = 2000,
) -> dict[str, dict[str, Any]]:
    """Every metric of a head.

    A share of independent records has Wilson's interval: those that the head measured as truth values, and those that
    the core counts itself (accuracy, sensitivity, specificity). Where a group has several records, and of everything
    else, the interval comes from resampling groups.

    Args:
        head: Its name.
        scores: What was measured.
        groups: Of every record that was evaluated.
        found: The head's probabilities, where it has some.
        trivial: Trivial predictor to metric to value.
        resamples: Number of bootstrap resamples.

    Returns:
        Metric to ``value``, ``low``, ``high``, ``method`` of the interval, ``n`` records, ``redrawn`` resamples;
        ``wilson``, the ends of Wilson's interval, where the metric is a share; ``baselines``, if any. None is not
        estimable. Empty where nothing was measured.
    """
    indices = scores.indices(head)
    if not indices:
        return {}
    clusters = [groups[index] for index in indices]
    values, table = scores.summary(head), scores.table(head)
    intervals = bootstrap(scores.weighted(head), clusters, resamples=resamples)
    counted = proportions(values, table, found)
    # A column of numbers may be all zeros and ones by chance, as a distance of perfect outlines is.
    sure = {metric for metric in counted if metric not in table or table[metric].dtype.kind == "b"}
    is_independent = len(set(clusters)) == len(clusters)
    figures = {}
    for metric, value in values.items():
        wilson = counted[metric].interval() if metric in counted else None
        is_share = is_independent and metric in sure
        low, high = wilson if wilson and is_share else intervals[metric][:2]
        figures[metric] = {
            **estimate(value, low, high, intervals[metric].redrawn),
            "method": WILSON if is_share else BOOTSTRAP,
            "n": len(indices),
            **({"wilson": [finite_or_none(end) for end in wilson]} if wilson else {}),
            **({"baselines": {name: finite_or_none(own[metric]) for name, own in trivial.items()}} if trivial else {}),
        }
    return figures
