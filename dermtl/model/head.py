"""The contract of a head's torch module."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class FeatureInfo:
    """Shapes of the features of a backbone, known before it runs.

    Attributes:
        num_pooled: Width D of the pooled features.
        channels: Channels of each map of the pyramid, fine to coarse.
        reductions: How many times smaller each map is than the input; a ViT has a single map.
        image_size: Side S of the network's input in pixels.
    """

    num_pooled: int
    channels: tuple[int, ...]
    reductions: tuple[int, ...]
    image_size: int


@dataclass(frozen=True)
class Features:
    """Features of one batch.

    Attributes:
        pooled: float [N, D], the input of timm's own classifier.
        maps: float [N, C, h, w] each, fine to coarse; h and w are about S / reduction.
        outputs: Outputs of the heads that the config's ``reads()`` names, ``<head>.<output>`` to float32 [N, ...],
            network frame, before calibration. Empty for the backbone itself.
    """

    pooled: Tensor
    maps: tuple[Tensor, ...]
    outputs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def tensors(self) -> list[Tensor]:
        """The pooled features and the maps."""
        return [self.pooled, *self.maps]

    def part(self, start: int, end: int) -> "Features":
        """The features of the pictures from ``start`` to ``end``."""
        return Features(self.pooled[start:end], tuple(values[start:end] for values in self.maps))

    def to(self, device: torch.device) -> "Features":
        """The same features on a device."""
        return Features(self.pooled.to(device), tuple(values.to(device) for values in self.maps))


class Head(nn.Module, ABC):
    """Layers, loss and activation of one head. The core owns everything else.

    Subclasses call ``super().__init__()`` and keep the constructor's signature.

    Attributes:
        soft_targets: Whether :meth:`loss` also takes float [n, K] class shares where the target kind is a Category.
        rows: ``apart`` if the loss of a row does not depend on the other rows; ``together`` if rows see one another,
            as in contrastive losses. Rows that see one another are only ever given all at once.
    """

    soft_targets: ClassVar[bool] = False
    rows: ClassVar[Literal["apart", "together"]] = "apart"

    def __init__(self, config: Any, features: FeatureInfo) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features: Features) -> Tensor:
        """The raw output for a batch."""

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The contribution of each row to the numerator of each term: name to float32 [n]; nothing is averaged here.

        The core divides the sum of a term by the sum of its :meth:`weights`, each over the whole batch, however many
        parts and processes compute it, or over all validation records. A weighted mean multiplies by the weight here.

        Args:
            raw: Rows of :meth:`forward`'s result that have a target, at least one, float32.
            target: [n, ...], the head's kind encoded in the network frame; where ``soft_targets`` holds, also
                float32 [n, K], the share of each class, rows sum to one.
        """

    def weights(self, target: Tensor) -> Mapping[str, Tensor]:
        """The contribution of each row to the denominator of each term: float32 [n], 0 or more; by default 1.

        A term whose denominator is 0 in a batch does not count in it.

        Args:
            target: [n, ...], encoded truths of the rows, as :meth:`loss` takes them.
        """
        return {}

    def temper(self, raw: Tensor, temperature: float) -> Tensor:
        """Scale raw outputs so that probabilities become their power 1 / temperature, normalised.

        Called only for heads with probabilities of a Category or of Tags. Dividing is right for plain logits; heads
        with another activation override this.
        """
        return raw / temperature

    @abstractmethod
    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """The outputs in the network frame: names, order and shapes as the config's ``outputs()`` says."""
