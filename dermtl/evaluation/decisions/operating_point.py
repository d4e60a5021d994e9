"""The operating point of a frozen decision: sensitivity and the like, predictive values, net benefit.

Takes thresholds as they are; nothing here chooses one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.metrics.estimates import proportion_estimate, wilson_ends, with_intervals
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.runtime.decision import Decision
from dermtl.statistics.net_benefit import decision_curve, predictive_values
from dermtl.statistics.proportion import Proportion
from dermtl.statistics.ratio import ratio

PREVALENCES = (0.01, 0.05, 0.2)
_CURVE = np.round(np.arange(0.01, 1.0, 0.01), 2)
_OF = {  # proportion: its counts, as hits and num
    "sensitivity": ("tp", ("tp", "fn")),
    "specificity": ("tn", ("tn", "fp")),
    "ppv": ("tp", ("tp", "fp")),
    "npv": ("tn", ("tn", "fn")),
    "alert_rate": ("positive", ("tp", "fp", "tn", "fn")),
}


def operating_point_metrics(
    decision: Decision,
    probabilities: Probabilities,
    groups: Sequence[str],
    *,
    prevalences: Sequence[float] = PREVALENCES,
    resamples: int = 2000,
) -> dict[str, Any]:
    """The metrics of one decision at its operating point.

    Args:
        decision: Decision with its frozen threshold.
        probabilities: Probabilities of the decision's head, its temperature applied.
        groups: The group of every record, [m].
        prevalences: Prevalences at which predictive values are given.
        resamples: Number of bootstrap resamples.

    Returns:
        ``figures``: metric to value, low, high, redrawn, n, and ``wilson`` for shares; ``at_prevalence``: prevalence,
        ppv and npv with intervals; ``doubtful``: share in the band, and the figures outside it; ``curve``: net benefit;
        and the decision itself. None is not estimable, or infinite where ``unbounded`` lists it.
    """
    scores, truth = probabilities.score(decision.positive), probabilities.holds(decision.positive)
    predicted = scores >= decision.threshold
    figures = threshold_metrics(predicted, truth, groups, prevalences=prevalences, resamples=resamples)
    curve = decision_curve(np.clip(scores, 0.0, 1.0), truth, _CURVE)
    doubtful = decision.is_doubtful(scores)
    clear = ~doubtful
    outside = None
    if decision.doubtful is not None:
        outside = {
            "share": float(doubtful.mean()),
            "n": int(doubtful.sum()),
            "sensitivity": _share(predicted & truth & clear, truth & clear),
            "specificity": _share(~predicted & ~truth & clear, ~truth & clear),
        }
    return {
        "output": decision.output,
        "positive": list(decision.positive),
        "threshold": decision.threshold,
        "chosen": dict(decision.chosen),
        "num_positive": int(truth.sum()),
        "num_negative": int((~truth).sum()),
        **figures,
        "doubtful": outside,
        "curve": {
            "thresholds": curve.thresholds.tolist(),
            "model": curve.model.tolist(),
            "treat_all": curve.treat_all.tolist(),
        },
    }


def threshold_metrics(
    predicted: Array,
    truth: Array,
    groups: Sequence[str],
    *,
    prevalences: Sequence[float] = PREVALENCES,
    resamples: int = 2000,
) -> dict[str, Any]:
    """``figures`` and ``at_prevalence`` of bool [m] predicted positive and bool [m] that are; see the above."""
    cells = np.stack([predicted & truth, predicted & ~truth, ~predicted & ~truth, ~predicted & truth], axis=1).astype(
        np.float64
    )

    def statistic(weights: Array) -> dict[str, float]:
        tp, fp, tn, fn = (float(count) for count in weights @ cells)
        parts = [tp, tn, tp, tn, 2 * tp, tp + fp]
        wholes = [tp + fn, tn + fp, tp + fp, tn + fn, 2 * tp + fp + fn, tp + fp + tn + fn]
        sensitivity, specificity, ppv, npv, f1, positive_rate = ratio(np.array(parts), np.array(wholes)).tolist()
        at = {
            f"{kind}@{prevalence:g}": value
            for prevalence in prevalences
            for kind, value in zip(("ppv", "npv"), predictive_values(sensitivity, specificity, prevalence), strict=True)
        }
        return {
            "sensitivity": sensitivity,
            "specificity": specificity,
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "ppv": ppv,
            "npv": npv,
            "f1": f1 if tp + fn else float("nan"),
            "lr_positive": _likelihood_ratio(sensitivity, 1 - specificity),
            "lr_negative": _likelihood_ratio(1 - sensitivity, specificity),
            "alert_rate": positive_rate,
            **at,
        }

    counts = dict(zip(("tp", "fp", "tn", "fn"), cells.sum(axis=0).astype(int).tolist(), strict=True))
    counts["positive"] = counts["tp"] + counts["fp"]
    estimates: dict[str, dict[str, Any]] = {**with_intervals(statistic, groups, resamples=resamples)}
    for name, (hits, parts) in _OF.items():
        share = Proportion(counts[hits], sum(counts[part] for part in parts))
        estimates[name] |= {"n": share.num, "wilson": wilson_ends(share)}
    return {
        "figures": {name: of for name, of in estimates.items() if "@" not in name},
        "counts": {name: counts[name] for name in ("tp", "fp", "tn", "fn")},
        "at_prevalence": [
            {"prevalence": prevalence, **{kind: estimates[f"{kind}@{prevalence:g}"] for kind in ("ppv", "npv")}}
            for prevalence in prevalences
        ],
    }


def _share(hits: Array, of: Array) -> dict[str, Any]:
    share = Proportion(int(hits.sum()), int(of.sum()))
    return proportion_estimate(share)


def _likelihood_ratio(ill: float, well: float) -> float:
    """Share of the ill over share of the well who are predicted so: infinite where no well one is, NaN for 0 / 0."""
    return float("inf") if ill > 0 and well == 0 else float(ratio(ill, well))
