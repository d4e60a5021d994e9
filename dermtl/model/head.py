"""The contract of a head's torch module."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class FeatureInfo:
    """What a backbone gives, known before it runs.

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
    """What a backbone gave for one batch.

    Attributes:
        pooled: float [N, D], what timm's own classifier would have read.
        maps: float [N, C, h, w] each, fine to coarse; sizes are only about S / reduction.
        outputs: Outputs of the heads that the config's ``reads()`` names, ``<head>.<output>`` to float32 [N, ...],
            network frame, before calibration. The backbone gives none.
    """

    pooled: Tensor
    maps: tuple[Tensor, ...]
    outputs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def tensors(self) -> list[Tensor]:
        """The pooled features and the maps."""
        return [self.pooled, *self.maps]

    def part(self, start: int, end: int) -> "Features":
        """Those of the pictures from ``start`` to ``end``."""
        return Features(self.pooled[start:end], tuple(values[start:end] for values in self.maps))

    def to(self, device: torch.device) -> "Features":
        """The same on a device."""
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
        """What each row adds to the numerator of each named term, float32 [n] a term; nothing is averaged here.

        The core divides the sum of a term by the sum of its :meth:`weights`, each over the whole batch, however many
        parts and processes compute it, or over all validation records. A weighted mean multiplies by the weight here.

        Args:
            raw: Rows of :meth:`forward`'s result that have a target, at least one, float32.
            target: [n, ...], the head's kind encoded in the network frame; where ``soft_targets`` holds, also
                float32 [n, K], the share of each class, rows sum to one.
        """

    def weights(self, target: Tensor) -> Mapping[str, Tensor]:
        """What each row adds to the denominator of each term, float32 [n] of 0 or more; a term left out counts rows.

        A term whose denominator is 0 in a batch does not count in it.

        Args:
            target: As in :meth:`loss`.
        """
        return {}

    def temper(self, raw: Tensor, temperature: float) -> Tensor:
        """A raw output whose class probabilities are those of ``raw`` to the power 1 / temperature, normalised.

        Asked only of heads with probabilities of a Category or of Tags. Dividing is right for plain logits; a head that
        activates otherwise says how.
        """
        return raw / temperature

    @abstractmethod
    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        """The outputs in the network frame: names, order and shapes as the config's ``outputs()`` says."""
