"""By which figure weights are selected: the score of an epoch, from ``training.select.by`` and a row of metrics.csv."""

import math
from collections.abc import Mapping

from dermtl.config.training import Select
from dermtl.errors import ConfigError
from dermtl.evaluation.metrics.record_scores import RecordScores
from dermtl.plugins.plan import HeadPlan
from dermtl.training.data.dataset import Examples

_NUM_DRY_RUN = 16  # validation records whose perfect predictions show which metrics there are


def score_of(by: str, row: Mapping[str, float]) -> float | None:
    """Score of an epoch, lower is better.

    Args:
        by: ``training.select.by``.
        row: Row of metrics.csv: ``val.loss``, ``val.<head>.<metric>`` and the like.

    Returns:
        None if the last weights are selected or there was no validation; infinity if the metric is not estimable.
    """
    if by == "last" or not any(name.startswith("val.") for name in row):
        return None
    name, sign = column_of(by)
    value = sign * row.get(name, math.nan)
    return math.inf if math.isnan(value) else value


def monitored_score_of(by: str, row: Mapping[str, float]) -> float | None:
    """Score that early stopping and soups use: as :func:`score_of`, and the validation loss for ``last``."""
    return score_of("val.loss" if by == "last" else by, row)


def column_of(by: str) -> tuple[str, int]:
    """The column of metrics.csv behind the monitored score, and 1 if lower is better, else -1."""
    if by in ("val.loss", "last"):
        return "val.loss", 1
    return f"val.{by.removeprefix('-')}", 1 if by.startswith("-") else -1


def refuse_unknown_metric(select: Select, plans: Mapping[str, HeadPlan], val: Examples) -> None:
    """Check that the metric in ``training.select.by`` exists, by evaluating perfect predictions.

    Raises:
        ConfigError: There is no such metric, or there are no validation records to select by.
    """
    if not len(val):
        if select.average == "soup" or select.by not in ("val.loss", "last"):
            raise ConfigError("training.select: chooses by validation records, and there are none")
        return
    if select.by in ("val.loss", "last"):
        return
    head, _, metric = select.by.removeprefix("-").partition(".")
    if head not in plans:
        raise ConfigError(f"training.select.by: there is no head {head!r}", hint=f"heads: {', '.join(plans)}")
    plan, scores = plans[head], RecordScores({head: plans[head]})
    annotated = ((i, plan.target.read(record)) for i, record in enumerate(val.records))
    known = ((i, annotation) for i, annotation in annotated if annotation is not None)
    for (index, annotation), _ in zip(known, range(_NUM_DRY_RUN), strict=False):
        perfect = {f"{head}.{output}": value for output, value in plan.config.perfect_prediction(annotation).items()}
        scores.add(index, perfect, {head: annotation})
    metrics = scores.summary(head)
    if metric not in metrics:
        hint = f"metrics of {head}: {', '.join(metrics) or 'none, since no validation record has its truth'}"
        raise ConfigError(f"training.select.by: head {head!r} measures no {metric!r}", hint=hint)
