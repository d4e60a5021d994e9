"""The statistics behind an evaluation: one concept a file, NumPy and the standard library only.

Scores, truths, weights and groups go in, numbers come out; nothing here knows heads, records or files. NaN means "not
estimable", never zero. Weights are whole numbers, how often each row counts, so that a bootstrap need not copy rows.
The names below are public: metrics of plugins may import them. The modules are not.
"""

from dermtl.statistics.confusion import Confusion
from dermtl.statistics.means import mean_known, weighted_means, weighted_quantile
from dermtl.statistics.ranking import Ranking, RocCurve, auroc
from dermtl.statistics.reliability import brier_rows

__all__ = [
    "Confusion",
    "Ranking",
    "RocCurve",
    "auroc",
    "brier_rows",
    "mean_known",
    "weighted_means",
    "weighted_quantile",
]
