"""The one antialiased resize: ONNX Runtime's own kernel, on the host as inside every exported graph.

A resize written twice rounds in two ways: Pillow and ONNX Runtime both follow this filter in whole numbers, and yet
differ by a level here and there, which some networks turn into another answer. So the host runs the very operator that
the exported file holds.
"""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dermtl.arrays import Array

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# One operator: image uint8 [N, H, W, 3] and sizes int64 [4] to resized uint8. A test writes it anew and compares.
_MODEL = Path(__file__).with_name("resize.onnx")


def resize(images: Array, size: int) -> Array:
    """Resize pictures to squares, with a triangle filter whose support grows with the shrink factor.

    Args:
        images: uint8 [N, H, W, 3].
        size: Side of the result in pixels.

    Returns:
        uint8 [N, size, size, 3]; the pictures themselves where they have that size.
    """
    return resize_hw(images, (size, size))


def resize_hw(images: Array, hw: tuple[int, int]) -> Array:
    """Resize pictures as :func:`resize` does, to any height and width; a side that stays is not filtered.

    Args:
        images: uint8 [N, H, W, 3].
        hw: Height and width of the result in pixels.

    Returns:
        uint8 [N, *hw, 3]; the pictures themselves where they have that size.
    """
    if images.shape[1:3] == hw:
        return images
    sizes = np.array([len(images), *hw, 3], np.int64)
    (resized,) = _session().run(None, {"image": images, "sizes": sizes})
    return np.asarray(resized)


@functools.cache
def _session() -> "InferenceSession":
    """One thread, so that processes may be forked after it and data workers do not crowd the cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(_MODEL.read_bytes(), options, providers=["CPUExecutionProvider"])
