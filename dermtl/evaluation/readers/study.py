"""Clinicians beside a model: what each decided on the same pictures, and who lies below the model's curve.

A decision is binary ("treat" or "reassure"), so a reader is one point of sensitivity and specificity. Knows scores
and decisions, nothing of tables and of drawing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.metrics.estimates import estimate
from dermtl.statistics.bootstrap import bootstrap
from dermtl.statistics.proportion import Proportion
from dermtl.statistics.ranking import Ranking, RocCurve

_SAME = 1e-9  # a reader that lies on the curve is not below it


@dataclass(frozen=True)
class ReaderStudy:
    """A question, the model's scores and the readers' decisions, all of the same pictures.

    Attributes:
        scores: float [n], the model's.
        positive: bool [n], the truth.
        groups: Group of each picture, [n].
        readers: Reader to decisions, float [n] of 0 and 1, NaN where a picture was not read; somebody read each.
    """

    scores: Array
    positive: Array
    groups: Sequence[str]
    readers: Mapping[str, Array]

    @property
    def is_complete(self) -> bool:
        """Whether everybody read every picture."""
        return all(np.isfinite(decisions).all() for decisions in self.readers.values())

    def curve(self) -> RocCurve:
        """The model's, on all pictures that anybody read."""
        return Ranking(self.scores, self.positive).curve()

    def figures(self) -> Callable[[Array], dict[str, float]]:
        """Prepare all figures, for :func:`~dermtl.statistics.bootstrap.bootstrap`.

        Each reader is held against the model's curve on the pictures that this reader read.

        Returns:
            Weights, int [n], to ``auroc``; ``sensitivity.<reader>``, ``specificity.<reader>`` and ``gain.<reader>``,
            the model's sensitivity at this reader's specificity minus the reader's; ``below``, how many have a gain
            above 0; ``mean_sensitivity`` and ``mean_specificity`` over the readers; ``mean_gain``, at the mean
            specificity.
        """
        whole = Ranking(self.scores, self.positive)
        read = {name: np.isfinite(decisions) for name, decisions in self.readers.items()}
        rankings = {
            name: whole if known.all() else Ranking(self.scores[known], self.positive[known])
            for name, known in read.items()
        }

        def estimates(weights: Array) -> dict[str, float]:
            curve, points = whole.curve(weights), []
            values = {"auroc": curve.auroc()}
            for name, decisions in self.readers.items():
                known = read[name]
                sensitivity, specificity = _point(decisions[known], self.positive[known], weights[known])
                mine = curve if rankings[name] is whole else rankings[name].curve(weights[known])
                gain = sensitivity_at(mine, specificity) - sensitivity
                points.append((sensitivity, specificity, gain))
                values |= {f"sensitivity.{name}": sensitivity, f"specificity.{name}": specificity, f"gain.{name}": gain}
            table = np.array(points)
            sensitivity, specificity = table[:, 0].mean(), table[:, 1].mean()
            below = float((table[:, 2] > _SAME).sum()) if np.isfinite(table).all() else float("nan")
            return values | {
                "below": below,
                "mean_sensitivity": float(sensitivity),
                "mean_specificity": float(specificity),
                "mean_gain": sensitivity_at(curve, float(specificity)) - float(sensitivity),
            }

        return estimates

    def summarise(self, *, resamples: int = 2000) -> dict[str, Any]:
        """Every figure with its 95% interval from resampling whole groups of pictures; plain JSON types.

        The readers are taken as they are: the intervals say what other pictures would give, not what other readers.
        """
        figures = self.figures()
        values = figures(np.ones(len(self.scores), np.int64))
        intervals = bootstrap(figures, self.groups, resamples=resamples)
        shown: dict[str, dict[str, Any]] = {name: estimate(value, *intervals[name]) for name, value in values.items()}
        for name, decisions in self.readers.items():
            for part, truth, right in (("sensitivity", self.positive, 1.0), ("specificity", ~self.positive, 0.0)):
                answers = decisions[truth & np.isfinite(decisions)]
                low, high = Proportion(int((answers == right).sum()), len(answers)).interval()
                shown[f"{part}.{name}"]["wilson"] = [low, high] if len(answers) else None
        readers = {
            name: {
                "n": int(np.isfinite(decisions).sum()),
                **{part: shown[f"{part}.{name}"] for part in ("sensitivity", "specificity", "gain")},
                "is_below": bool(gain > _SAME) if isfinite(gain := values[f"gain.{name}"]) else None,
            }
            for name, decisions in self.readers.items()
        }
        return {
            "data": {
                "images": len(self.scores),
                "positive": int(self.positive.sum()),
                "groups": len(set(self.groups)),
                "everybody_read_all": self.is_complete,
            },
            "model": {"auroc": shown["auroc"]},
            "below": {**shown["below"], "of": len(self.readers)},
            "mean": {part: shown[f"mean_{part}"] for part in ("sensitivity", "specificity", "gain")},
            "readers": readers,
        }


def sensitivity_at(curve: RocCurve, specificity: float) -> float:
    """The highest sensitivity a curve reaches at a specificity, straight between its points; NaN as the AUROC."""
    if not curve.known or not isfinite(specificity):
        return float("nan")
    false = np.concatenate([[0], curve.false_positives]) / curve.num_negative
    true = np.concatenate([[0], curve.true_positives]) / curve.num_positive
    # Where the curve steps up, interp takes the upper end; the little more keeps rounding from missing the step.
    return float(np.interp(1 - specificity + _SAME, false, true))


def _point(decisions: Array, positive: Array, weights: Array) -> tuple[float, float]:
    """Sensitivity and specificity of decisions, NaN where there is no positive or no negative."""
    true, false = float(weights @ positive), float(weights @ ~positive)
    hit, passed = float(weights @ (decisions * positive)), float(weights @ ((1 - decisions) * ~positive))
    return (hit / true if true else float("nan")), (passed / false if false else float("nan"))
