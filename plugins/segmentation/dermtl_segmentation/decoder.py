"""From a pyramid of feature maps to one fine map. Knows no classes and no loss.

No size is assumed to be a power of two apart: every step resizes to the size that the next map really has.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]


def group_norm(channels: int) -> nn.Module:
    """GroupNorm with at most 32 groups of at least 4 channels, where the number of channels allows."""
    groups = next((groups for groups in (32, 16, 8, 4, 2) if channels % (4 * groups) == 0), 1)
    return nn.GroupNorm(groups, channels)


def resize(values: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, pixel areas aligned: [N, C, h, w] to [N, C, *size]; nothing where the size is right."""
    height, width = size
    if values.shape[-2:] == (height, width):
        return values
    return F.interpolate(values, size=(height, width), mode="bilinear", align_corners=False)


def conv_block(channels: int, width: int, norm: Norm) -> nn.Sequential:
    """3x3 convolution, norm, ReLU."""
    conv = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return nn.Sequential(conv, norm(width), nn.ReLU(inplace=True))


class Unet(nn.Module):
    """Step by step from coarse to fine, each step joined by the backbone's map of that size.

    A pyramid that ends above the input's size gets one more step, to twice the finest map, with nothing to join.

    Args:
        channels: Channels of each of the backbone's maps, fine to coarse.
        reductions: How many times smaller each map is than the input, fine to coarse.
        widths: Channels of the steps, coarse to fine; those left over are not used, the last one serves further steps.
        norm: Builds a norm for a number of channels.

    Attributes:
        width: Channels of the result.

    Source: Ronneberger et al. 2015.
    """

    def __init__(self, channels: Sequence[int], reductions: Sequence[int], widths: Sequence[int], norm: Norm) -> None:
        super().__init__()
        joined = [*channels[-2::-1], *([0] if reductions[0] > 1 else [])]
        self.width = channels[-1]
        self.steps = nn.ModuleList()
        for step, skip in enumerate(joined):
            width = widths[min(step, len(widths) - 1)]
            block = nn.Sequential(conv_block(self.width + skip, width, norm), conv_block(width, width, norm))
            self.steps.append(block)
            self.width = width

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps [N, C, h, w], fine to coarse, to [N, width, h', w']."""
        values = maps[-1]
        skips = list(maps[-2::-1])
        for step, block in enumerate(self.steps):
            if step < len(skips):
                values = torch.cat([resize(values, skips[step].shape[-2:]), skips[step]], dim=1)
            else:
                values = resize(values, [2 * side for side in values.shape[-2:]])
            values = block(values)
        return values


class Fpn(nn.Module):
    """All maps brought to one width, summed top down, smoothed, and merged at the size of the finest.

    Maps finer than a quarter of the input are left out: they cost most and mean least.

    Args:
        channels: Channels of each of the backbone's maps, fine to coarse.
        reductions: How many times smaller each map is than the input, fine to coarse.
        widths: The one width to which all maps are brought.
        norm: Builds a norm for a number of channels.

    Attributes:
        width: Channels of the result.

    Source: Lin et al. 2017; merged by summing as in Kirillov et al. 2019.
    """

    def __init__(self, channels: Sequence[int], reductions: Sequence[int], widths: Sequence[int], norm: Norm) -> None:
        super().__init__()
        (self.width,) = widths
        self.first = next((level for level, reduction in enumerate(reductions) if reduction >= 4), 0)
        used = channels[self.first :]
        self.laterals = nn.ModuleList(nn.Conv2d(count, self.width, kernel_size=1) for count in used)
        self.smooth = nn.ModuleList(conv_block(self.width, self.width, norm) for _ in used)
        self.merge = conv_block(self.width, self.width, norm)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps [N, C, h, w], fine to coarse, to [N, width, h', w']."""
        levels = [lateral(values) for lateral, values in zip(self.laterals, maps[self.first :], strict=True)]
        for level in range(len(levels) - 2, -1, -1):
            levels[level] = levels[level] + resize(levels[level + 1], levels[level].shape[-2:])
        size = levels[0].shape[-2:]
        merged = [resize(smooth(values), size) for smooth, values in zip(self.smooth, levels, strict=True)]
        fine: Tensor = self.merge(torch.stack(merged).sum(dim=0))
        return fine
