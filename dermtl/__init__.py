"""dermtl: one YAML file and one table of images in, one clinically evaluated ``model.onnx`` out.

Importing this package is cheap: nothing heavier than the standard library is loaded until it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermtl.runtime.predictor import Model, load

__all__ = ["Model", "__version__", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("Model", "load"):
        from dermtl.runtime import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'dermtl' has no attribute {name!r}")
