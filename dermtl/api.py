"""Everything a plugin may import, and nothing else.

Importing this module costs a few milliseconds; torch is imported when :class:`Head` is first used.
"""

from typing import TYPE_CHECKING, Any

from dermtl.plugins.spec import API, HeadSpec

if TYPE_CHECKING:
    from dermtl.arrays import Array
    from dermtl.data.importers.importer import Drawn, Importer, Row
    from dermtl.errors import AnnotationError
    from dermtl.imaging.decode import read_mask
    from dermtl.imaging.letterbox import Frame
    from dermtl.imaging.view import View
    from dermtl.kinds import Category, Circle, Kind, Mask, Nodes, Number, Points, Record, Tags
    from dermtl.kinds.drawing import caption
    from dermtl.model.head import FeatureInfo, Features, Head
    from dermtl.plugins.contract import HeadConfig, Measures, Metrics, Prediction, WeightedMetrics
    from dermtl.statistics.confusion import Confusion
    from dermtl.statistics.means import mean_known, weighted_means, weighted_quantile
    from dermtl.statistics.ranking import Ranking, RocCurve, auroc
    from dermtl.statistics.reliability import brier_rows
    from dermtl.taxonomy.look_up import node_of
    from dermtl.taxonomy.names import lies_below
    from dermtl.taxonomy.partition import Partition, TrainingClass, disease_partition
    from dermtl.taxonomy.read import read_taxonomy
    from dermtl.taxonomy.roll_up import level_sums, roll_up
    from dermtl.taxonomy.tree import Taxonomy
    from dermtl.tracking.tracker import Tracker

_HOMES = {
    "AnnotationError": "dermtl.errors",
    "Tracker": "dermtl.tracking.tracker",
    "Array": "dermtl.imaging.affine",
    "Frame": "dermtl.imaging.letterbox",
    "View": "dermtl.imaging.view",
    "caption": "dermtl.kinds.drawing",
    "read_mask": "dermtl.imaging.decode",
    "Confusion": "dermtl.statistics.confusion",
    "brier_rows": "dermtl.statistics.reliability",
    **dict.fromkeys(("Ranking", "RocCurve", "auroc"), "dermtl.statistics.ranking"),
    **dict.fromkeys(("mean_known", "weighted_means", "weighted_quantile"), "dermtl.statistics.means"),
    **dict.fromkeys(("Drawn", "Importer", "Row"), "dermtl.data.importers.importer"),
    **dict.fromkeys(("Category", "Circle", "Kind", "Mask", "Nodes", "Number", "Points"), "dermtl.kinds"),
    **dict.fromkeys(("Record", "Tags"), "dermtl.kinds"),
    "Taxonomy": "dermtl.taxonomy.tree",
    "lies_below": "dermtl.taxonomy.names",
    "node_of": "dermtl.taxonomy.look_up",
    "read_taxonomy": "dermtl.taxonomy.read",
    **dict.fromkeys(("Partition", "TrainingClass", "disease_partition"), "dermtl.taxonomy.partition"),
    **dict.fromkeys(("level_sums", "roll_up"), "dermtl.taxonomy.roll_up"),
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
    "Frame",
    "Head",
    "HeadConfig",
    "HeadSpec",
    "Importer",
    "Kind",
    "Mask",
    "Measures",
    "Metrics",
    "Nodes",
    "Number",
    "Partition",
    "Points",
    "Prediction",
    "Ranking",
    "Record",
    "RocCurve",
    "Row",
    "Tags",
    "Taxonomy",
    "Tracker",
    "TrainingClass",
    "View",
    "WeightedMetrics",
    "auroc",
    "brier_rows",
    "caption",
    "disease_partition",
    "level_sums",
    "lies_below",
    "mean_known",
    "node_of",
    "read_mask",
    "read_taxonomy",
    "roll_up",
    "weighted_means",
    "weighted_quantile",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dermtl.api' has no attribute {name!r}")
