"""Mixup and cutmix: a batch blended with its reverse, both pictures and class shares."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dermtl.config.training import Mix
from dermtl.errors import ConfigError
from dermtl.kinds import Category
from dermtl.model.network import Network
from dermtl.plugins.plan import HeadPlan

Targets = dict[str, tuple[Tensor, Tensor]]


class Mixing:
    """Blends batches.

    Args:
        mix: Section of the experiment with the parameters.
        num_classes: Head to its number of classes.

    Source: Zhang et al. 2018 (mixup), Yun et al. 2019 (cutmix); one draw per batch, as in timm.
    """

    def __init__(self, mix: Mix, num_classes: Mapping[str, int]) -> None:
        self._mix = mix
        self._num_classes = num_classes

    def __call__(self, images: Tensor, targets: Targets, seed: int) -> tuple[Tensor, Targets]:
        """Blend a batch with its reverse.

        Args:
            images: uint8 [N, 3, S, S].
            targets: Head to the rows that have a class, and the classes, int64 [n].
            seed: Seed of the draws.

        Returns:
            float or uint8 [N, 3, S, S], and head to rows and class shares, float [n, K]; a row is left out if it or its
            partner has no class.
        """
        random = torch.Generator().manual_seed(seed)
        if float(torch.rand((), generator=random)) >= self._mix.share:
            return images, targets
        both = self._mix.mixup > 0 and self._mix.cutmix > 0
        cut = float(torch.rand((), generator=random)) < 0.5 if both else self._mix.cutmix > 0
        share = _beta(self._mix.cutmix if cut else self._mix.mixup, random)
        if cut:
            top, left, height, width = _box(images.shape[-2], images.shape[-1], share, random)
            mixed = images.clone()
            window = (..., slice(top, top + height), slice(left, left + width))
            mixed[window] = images.flip(0)[window]
            share = 1 - height * width / (images.shape[-2] * images.shape[-1])
        else:
            mixed = images.float().lerp(images.flip(0).float(), 1 - share)
        return mixed, {
            name: blended
            for name, (rows, target) in targets.items()
            if len((blended := self._shares(name, rows, target, len(images), share))[0])
        }

    def _shares(self, head: str, rows: Tensor, target: Tensor, num: int, share: float) -> tuple[Tensor, Tensor]:
        full = torch.full((num,), -1, dtype=torch.int64, device=target.device)
        full[rows] = target
        known = torch.nonzero((full >= 0) & (full.flip(0) >= 0)).flatten()
        first, second = (F.one_hot(side[known], self._num_classes[head]).float() for side in (full, full.flip(0)))
        return known, first.lerp(second, 1 - share)


def plan_mixing(mix: Mix | None, network: Network, plans: Mapping[str, HeadPlan]) -> Mixing | None:
    """The mixing of an experiment; None without ``training.mix``.

    Raises:
        ConfigError: The targets of a head cannot be blended, or its loss does not accept class shares.
    """
    if mix is None:
        return None
    num_classes: dict[str, int] = {}
    for name, plan in plans.items():
        if not isinstance(plan.target, Category) or not getattr(network.heads[name], "soft_targets", False):
            raise ConfigError(
                f"training.mix: head {name!r} ({plan.spec.name}) cannot learn from blended pictures",
                hint="leave training.mix out, or train heads with classes only",
            )
        num_classes[name] = len(plan.target.classes)
    return Mixing(mix, num_classes)


def _beta(alpha: float, random: torch.Generator) -> float:
    """A draw of Beta(alpha, alpha)."""
    seed = int(torch.randint(2**31, (), generator=random))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def _box(height: int, width: int, share: float, random: torch.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a window of the picture's shape that covers 1 - share of it, before clipping."""
    side = (1 - share) ** 0.5
    tall, wide = int(height * side), int(width * side)
    y, x = (int(torch.randint(limit, (), generator=random)) for limit in (height, width))
    top, left = max(y - tall // 2, 0), max(x - wide // 2, 0)
    return top, left, min(y - tall // 2 + tall, height) - top, min(x - wide // 2 + wide, width) - left
