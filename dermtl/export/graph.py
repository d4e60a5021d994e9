"""The whole graph as a torch module: raw uint8 pictures in, outputs in source pixels out.

It holds what the host otherwise does: the letterbox before the network, the kinds' way back after it. The kinds'
``restore`` runs here on tensors, with a :class:`TensorFrame` in place of the NumPy letterbox.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.arrays import Array
from dermtl.export.resize_op import resized
from dermtl.kinds import Kind
from dermtl.model.network import Network
from dermtl.model.predictor import temper


@dataclass(frozen=True)
class TensorFrame:
    """:class:`dermtl.imaging.letterbox.Frame` on tensors; heights and widths may be symbols of the export.

    Attributes:
        height: Height of the given pictures in pixels.
        width: Width of the given pictures in pixels.
        size: Side of the network frame.
    """

    height: Any
    width: Any
    size: int

    @property
    def side(self) -> Any:
        """Side of the padded square in source pixels."""
        return torch.sym_max(self.height, self.width)

    def _offset(self, length: Any) -> Any:
        return (self.side - length) // 2

    def apply(self, image: Tensor) -> Tensor:
        """Letterbox pictures, uint8 [N, H, W, 3] to float [N, 3, S, S]."""
        left, top = self._offset(self.width), self._offset(self.height)
        right, bottom = self.side - self.width - left, self.side - self.height - top
        square = F.pad(image, (0, 0, left, right, top, bottom))
        boxed: Tensor = resized(square, self.size)
        return boxed.permute(0, 3, 1, 2).float()

    def points(self, xy: Tensor) -> Tensor:
        """See :class:`~dermtl.imaging.letterbox.Frame`."""
        offset = torch.stack([self._length(self._offset(self.width)), self._length(self._offset(self.height))])
        return xy * self._length(self.side) / self.size - offset

    def lengths(self, values: Tensor) -> Tensor:
        """See :class:`~dermtl.imaging.letterbox.Frame`."""
        return values * self._length(self.side) / self.size

    def raster(self, values: Tensor) -> Tensor:
        """See :class:`~dermtl.imaging.letterbox.Frame`."""
        left, top = self._offset(self.width), self._offset(self.height)
        square = self._resize(values, self.side, self.side)
        return square[..., top : top + self.height, left : left + self.width]

    def concat(self, parts: list[Tensor]) -> Tensor:
        """See :class:`~dermtl.imaging.letterbox.Frame`."""
        return torch.cat(parts, dim=-1)

    @staticmethod
    def _length(value: Any) -> Tensor:
        return torch.scalar_tensor(value, dtype=torch.float32)

    @staticmethod
    def _resize(values: Tensor, height: Any, width: Any) -> Tensor:
        return F.interpolate(values, size=(height, width), mode="bilinear", antialias=True, align_corners=False)


class Graph(nn.Module):
    """What becomes ``model.onnx``.

    Args:
        network: Trained.
        kinds: Full output name to kind, in the network's order.
        size: Side of the network's input.
        temperatures: Head to temperature, for the heads that have one.
    """

    def __init__(
        self,
        network: Network,
        kinds: Mapping[str, Kind],
        size: int,
        temperatures: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.network = network.eval()
        self._kinds = dict(kinds)
        self._size = size
        self._temperatures = dict(temperatures or {})

    @property
    def names(self) -> list[str]:
        """The outputs' names, in order."""
        return list(self._kinds)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Outputs in source pixels.

        Args:
            image: uint8 [N, H, W, 3], RGB, of any size.
        """
        frame = TensorFrame(image.shape[1], image.shape[2], self._size)
        boxed = frame.apply(image)
        outputs = self.network.activate(temper(self.network, self.network(boxed), self._temperatures))
        return tuple(kind.restore(outputs[name], frame) for name, kind in self._kinds.items())

    def outputs_of(self, image: Array) -> dict[str, Array]:
        """Outputs for one picture, uint8 [H, W, 3], as NumPy arrays in the source frame: output name to value."""
        with torch.no_grad():
            outputs = self(torch.from_numpy(image.copy())[None])
        return {name: value[0].numpy() for name, value in zip(self.names, outputs, strict=True)}
