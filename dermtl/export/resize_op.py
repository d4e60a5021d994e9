"""The host's resize as an operator of torch, which the exporter writes as ONNX's ``Resize``."""

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import opset20
from torch import Tensor

from dermtl.imaging.resize import resize


@torch.library.custom_op("dermtl::resize", mutates_args=())
def resized(images: Tensor, size: int) -> Tensor:
    """See :func:`dermtl.imaging.resize.resize`; computed on the CPU.

    Args:
        images: uint8 [N, H, W, 3].
        size: Side of the result in pixels.

    Returns:
        uint8 [N, size, size, 3].
    """
    squares = resize(images.cpu().contiguous().numpy(), size)
    return torch.from_numpy(squares).to(images.device, copy=True)


@resized.register_fake
def _(images: Tensor, size: int) -> Tensor:
    return images.new_empty((images.shape[0], size, size, 3))


def _onnx(images: Any, size: int) -> Any:
    """The operator of ``imaging/resize.onnx``."""
    sizes = opset20.Concat(opset20.Shape(images, start=0, end=1), opset20.Constant(value_ints=[size, size, 3]), axis=0)
    return opset20.Resize(
        images, None, None, sizes,
        antialias=1, coordinate_transformation_mode="half_pixel", exclude_outside=1, mode="linear",
    )  # fmt: skip


TRANSLATION: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.dermtl.resize.default: _onnx}
