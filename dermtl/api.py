"""Everything a plugin may import, and nothing else.

Importing this module costs a few milliseconds; torch is imported when :class:`Head` is first used.
"""

from typing import TYPE_CHECKING, Any

from dermtl.plugins.spec import API, HeadSpec

if TYPE_CHECKING:
    from dermtl.data.importers.importer import Drawn, Importer, Row
    from dermtl.errors import AnnotationError
    from dermtl.imaging.affine import Array
    from dermtl.kinds import Category, Circle, Kind, Mask, Number, Record, Tags
    from dermtl.model.head import FeatureInfo, Features, Head
    from dermtl.plugins.contract import HeadConfig, Measures, Metrics, Prediction

_HOMES = {
    "AnnotationError": "dermtl.errors",
    "Array": "dermtl.imaging.affine",
    **dict.fromkeys(("Drawn", "Importer", "Row"), "dermtl.data.importers.importer"),
    **dict.fromkeys(("Category", "Circle", "Kind", "Mask", "Number", "Record", "Tags"), "dermtl.kinds"),
    **dict.fromkeys(("FeatureInfo", "Features", "Head"), "dermtl.model.head"),
    **dict.fromkeys(("HeadConfig", "Measures", "Metrics", "Prediction"), "dermtl.plugins.contract"),
}

__all__ = [
    "API",
    "AnnotationError",
    "Array",
    "Category",
    "Circle",
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
    "Record",
    "Row",
    "Tags",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dermtl.api' has no attribute {name!r}")
