"""The contract between dermtl and its plugins: heads, kinds, importers and trackers are written with these names.

Plugins also may import :mod:`dermtl.statistics` and :mod:`dermtl.taxonomy`, and nothing else of dermtl. Importing this
module costs a few milliseconds: every name is imported on its first use, so torch only with :class:`Head`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dermtl.plugins.spec import API as API
from dermtl.plugins.spec import HeadSpec as HeadSpec

if TYPE_CHECKING:
    from dermtl.arrays import Array as Array
    from dermtl.data.importers.importer import Importer as Importer
    from dermtl.data.importers.importer import RenderedImage as RenderedImage
    from dermtl.data.importers.importer import Row as Row
    from dermtl.errors import AnnotationError as AnnotationError
    from dermtl.imaging.decode import read_mask as read_mask
    from dermtl.imaging.letterbox import Frame as Frame
    from dermtl.imaging.view import View as View
    from dermtl.kinds import Category as Category
    from dermtl.kinds import Circle as Circle
    from dermtl.kinds import Kind as Kind
    from dermtl.kinds import Mask as Mask
    from dermtl.kinds import Nodes as Nodes
    from dermtl.kinds import Number as Number
    from dermtl.kinds import PartialMask as PartialMask
    from dermtl.kinds import Points as Points
    from dermtl.kinds import Record as Record
    from dermtl.kinds import Tags as Tags
    from dermtl.kinds.drawing import caption as caption
    from dermtl.model.head import FeatureInfo as FeatureInfo
    from dermtl.model.head import Features as Features
    from dermtl.model.head import Head as Head
    from dermtl.plugins.contract import DecisionRule as DecisionRule
    from dermtl.plugins.contract import HeadConfig as HeadConfig
    from dermtl.plugins.contract import Measures as Measures
    from dermtl.plugins.contract import Metrics as Metrics
    from dermtl.plugins.contract import Prediction as Prediction
    from dermtl.plugins.contract import WeightedMetrics as WeightedMetrics
    from dermtl.tracking.tracker import Tracker as Tracker

_NAMES = {
    "dermtl.arrays": "Array",
    "dermtl.data.importers.importer": "RenderedImage Importer Row",
    "dermtl.errors": "AnnotationError",
    "dermtl.imaging.decode": "read_mask",
    "dermtl.imaging.letterbox": "Frame",
    "dermtl.imaging.view": "View",
    "dermtl.kinds": "Category Circle Kind Mask Nodes Number PartialMask Points Record Tags",
    "dermtl.kinds.drawing": "caption",
    "dermtl.model.head": "FeatureInfo Features Head",
    "dermtl.plugins.contract": "DecisionRule HeadConfig Measures Metrics Prediction WeightedMetrics",
    "dermtl.plugins.spec": "API HeadSpec",
    "dermtl.tracking.tracker": "Tracker",
}
_MOVED = {
    "dermtl.statistics": "Confusion Ranking RocCurve auroc brier_rows mean_known weighted_means weighted_quantile",
    "dermtl.taxonomy": "Partition Taxonomy TrainingClass disease_partition level_sums lies_below node_of read_taxonomy "
    "roll_up",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_NEW_NAMES = {"lies_below": "is_descendant", "node_of": "find_node"}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    for module, names in _MOVED.items():
        if name in names.split():  # an AttributeError's message would be lost in `from dermtl.api import ...`
            raise ImportError(f"{name} has left dermtl.api: from {module} import {_NEW_NAMES.get(name, name)}")
    raise AttributeError(f"module 'dermtl.api' has no attribute {name!r}")
