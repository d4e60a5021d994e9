"""A network as a predictor of values in the source frame."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dermtl.arrays import Array
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Kind
from dermtl.model.head import Head
from dermtl.model.network import Network


def restore_batch(
    outputs: Mapping[str, Tensor], kinds: Mapping[str, Kind], sizes_hw: Sequence[tuple[int, int]], size: int
) -> list[dict[str, Array]]:
    """Restore the outputs of a batch to the source frame of each picture.

    Args:
        outputs: Full output name to tensor, [N, ...], network frame.
        kinds: Full output name to kind.
        sizes_hw: Height and width of each source picture.
        size: Side of the network frame.

    Returns:
        For each picture, output name to value.
    """
    arrays = {name: output.detach().float().cpu().numpy() for name, output in outputs.items()}
    frames = [Letterbox(hw, size) for hw in sizes_hw]
    return [
        {name: kinds[name].restore(values[row], frame) for name, values in arrays.items()}
        for row, frame in enumerate(frames)
    ]


def temper(network: Network, raw: Mapping[str, Tensor], temperatures: Mapping[str, float]) -> dict[str, Tensor]:
    """Raw outputs, head to tensor, scaled by the temperatures of their heads."""
    tempered = dict(raw)
    for name, temperature in temperatures.items():
        head = network.heads[name]
        assert isinstance(head, Head)
        tempered[name] = head.temper(raw[name].float(), temperature)
    return tempered


class NetworkPredictor:
    """The torch side of :class:`dermtl.evaluation.predict.predictor.Predictor`.

    Args:
        network: The trained network.
        kinds: Full output name to kind.
        size: Side of the network's input in pixels.
        temperatures: Head to temperature; heads left out have none.
    """

    def __init__(
        self,
        network: Network,
        kinds: Mapping[str, Kind],
        size: int,
        temperatures: Mapping[str, float] | None = None,
    ) -> None:
        self._network = network.eval()
        self._kinds = kinds
        self._size = size
        self._temperatures = dict(temperatures or {})

    @property
    def size(self) -> int:
        """Side of the network's input in pixels."""
        return self._size

    def predict_values(self, images: Sequence[Array]) -> list[dict[str, Array]]:
        """Predict pictures, uint8 [H, W, 3] of any sizes."""
        letterboxes = [Letterbox.of(image, self._size) for image in images]
        sizes = [letterbox.source_hw for letterbox in letterboxes]
        boxed = np.stack([letterbox.apply(image) for letterbox, image in zip(letterboxes, images, strict=True)])
        device = next(self._network.parameters()).device
        with torch.no_grad():
            raw = self._network(torch.from_numpy(boxed).permute(0, 3, 1, 2).to(device))
            outputs = self._network.activate(temper(self._network, raw, self._temperatures))
        return restore_batch(outputs, self._kinds, sizes, self._size)
