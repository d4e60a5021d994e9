"""dermtl: one YAML file and one table of images in, one clinically evaluated ``model.onnx`` out.

Importing this package is cheap: nothing heavier than the standard library is loaded until it is used.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermtl.runtime.predictor import Model, load

__all__ = ["Model", "__version__", "load"]
__version__ = "0.1.0"

# ONNX Runtime's Linux wheels write a device's id below the home folder and look a host up as soon as a session opens.
# They read this when onnxruntime is first imported; all of dermtl passes here before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    if name in ("Model", "load"):
        from dermtl.runtime import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'dermtl' has no attribute {name!r}")
