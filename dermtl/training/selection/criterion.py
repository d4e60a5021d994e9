"""Which weights of a run are the best: by a validation loss or metric, and means of several of them.

Knows no loop: it is given rows of metrics.csv and weights, and says what is better.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import safetensors.torch
from torch import Tensor

from dermtl.config.training import Select
from dermtl.errors import ConfigError
from dermtl.evaluation.metrics.record_scores import RecordScores
from dermtl.plugins.plan import HeadPlan
from dermtl.training.data.dataset import Examples

NUM_SNAPSHOTS = 5
_TRIED = 16  # validation records that tell which metrics there are


def score_of(by: str, row: Mapping[str, float]) -> float | None:
    """What is minimised, of a row of metrics.csv.

    Args:
        by: ``training.select.by``.
        row: ``val.loss``, ``val.<head>.<metric>`` and the like.

    Returns:
        None if the last weights are wanted or nothing was validated; infinity if the metric is not estimable.
    """
    if by == "last" or not any(name.startswith("val.") for name in row):
        return None
    name, sign = column_of(by)
    value = sign * row.get(name, math.nan)
    return math.inf if math.isnan(value) else value


def watched_of(by: str, row: Mapping[str, float]) -> float | None:
    """What patience and soups go by: as :func:`score_of`, and the validation loss if the last weights are wanted."""
    return score_of("val.loss" if by == "last" else by, row)


def column_of(by: str) -> tuple[str, int]:
    """The column of metrics.csv that decides, and 1 if less of it is better, else -1; ``last`` watches the loss."""
    if by in ("val.loss", "last"):
        return "val.loss", 1
    return f"val.{by.removeprefix('-')}", 1 if by.startswith("-") else -1


def refuse_unknown_metric(select: Select, plans: Mapping[str, HeadPlan], val: Examples) -> None:
    """Look the metric up among those that the heads measure when they are right.

    Raises:
        ConfigError: There is no such metric, or there are no validation records to choose by.
    """
    if not len(val):
        if select.average == "soup" or select.by not in ("val.loss", "last"):
            raise ConfigError("training.select: chooses by validation records, and there are none")
        return
    if select.by in ("val.loss", "last"):
        return
    name = select.by.removeprefix("-")
    head, _, metric = name.partition(".")
    if head not in plans:
        raise ConfigError(f"training.select.by: there is no head {head!r}", hint=f"heads: {', '.join(plans)}")
    plan, scores = plans[head], RecordScores({head: plans[head]})
    annotated = ((i, plan.target.read(record)) for i, record in enumerate(val.records))
    known = ((i, annotation) for i, annotation in annotated if annotation is not None)
    for (index, annotation), _ in zip(known, range(_TRIED), strict=False):
        perfect = {f"{head}.{output}": value for output, value in plan.config.perfect_prediction(annotation).items()}
        scores.add(index, perfect, {head: annotation})
    found = scores.summary(head)
    if metric not in found:
        hint = f"metrics of {head}: {', '.join(found) or 'none, since no validation record has its truth'}"
        raise ConfigError(f"training.select.by: head {head!r} measures no {metric!r}", hint=hint)


def greedy_soup(
    snapshots: Sequence[Path], score: Callable[[Mapping[str, Tensor]], float]
) -> tuple[dict[str, Tensor], list[Path], float]:
    """The mean of those weights that do not make it worse, one after the other.

    Args:
        snapshots: Weights, the best first.
        score: Gives the score of weights on validation; lower is better.

    Returns:
        The mean, the snapshots in it and its score.

    Source: Wortsman et al. 2022, Model soups, recipe 1 (greedy soup), on the epochs of one run.
    """
    chosen = [snapshots[0]]
    soup = safetensors.torch.load_file(snapshots[0])
    best = score(soup)
    for path in snapshots[1:]:
        more, num = safetensors.torch.load_file(path), len(chosen)
        mixed = {
            name: value + (more[name] - value) / (num + 1) if value.is_floating_point() else value
            for name, value in soup.items()
        }
        if (found := score(mixed)) <= best:
            soup, best = mixed, found
            chosen.append(path)
    return soup, chosen, best
