"""Everything a plugin may import, and nothing else.

Importing this module costs a few milliseconds; torch is imported when :class:`Head` is first used.
"""

from typing import TYPE_CHECKING, Any

from dermtl.plugins.spec import API, HeadSpec

if TYPE_CHECKING:
    from dermtl.data.importers.importer import Drawn, Importer, Row
    from dermtl.errors import AnnotationError
    from dermtl.evaluation.statistics.confusion import Confusion
    from dermtl.evaluation.statistics.means import mean_known, weighted_means, weighted_quantile
    from dermtl.evaluation.statistics.ranking import Ranking, RocCurve, auroc
    from dermtl.evaluation.statistics.reliability import brier_rows
    from dermtl.imaging.affine import Array
    from dermtl.kinds import Category, Circle, Kind, Mask, Number, Record, Tags
    from dermtl.model.head import FeatureInfo, Features, Head
    from dermtl.plugins.contract import HeadConfig, Measures, Metrics, Prediction, WeightedMetrics
    from dermtl.tracking.tracker import Tracker

_HOMES = {
    "AnnotationError": "dermtl.errors",
    "Tracker": "dermtl.tracking.tracker",
    "Array": "dermtl.imaging.affine",
    "Confusion": "dermtl.evaluation.statistics.confusion",
    "brier_rows": "dermtl.evaluation.statistics.reliability",
    **dict.fromkeys(("Ranking", "RocCurve", "auroc"), "dermtl.evaluation.statistics.ranking"),
    **dict.fromkeys(("mean_known", "weighted_means", "weighted_quantile"), "dermtl.evaluation.statistics.means"),
    **dict.fromkeys(("Drawn", "Importer", "Row"), "dermtl.data.importers.importer"),
    **dict.fromkeys(("Category", "Circle", "Kind", "Mask", "Number", "Record", "Tags"), "dermtl.kinds"),
    **dict.fromkeys(("FeatureInfo", "Features", "Head"), "dermtl.model.head"),
    **dict.fromkeys(("HeadConfig", "Measures", "Metrics", "Prediction", "WeightedMetrics"), "dermtl.plugins.contract"),
}

__all__ = [
    "API",
    "AnnotationError",
    "Array",
    "Category",
    "Circle",
    "Confusion",
    "Drawn",
    "FeatureInfo",
    "Features",
    "Head",
    "HeadConfig",
    "HeadSpec",
    "Importer",
    "Kind",
    "Mask",
    "Measures",
    "Metrics",
    "Number",
    "Prediction",
    "Ranking",
    "Record",
    "RocCurve",
    "Row",
    "Tags",
    "Tracker",
    "WeightedMetrics",
    "auroc",
    "brier_rows",
    "mean_known",
    "weighted_means",
    "weighted_quantile",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dermtl.api' has no attribute {name!r}")
