"""From a pyramid of feature maps to one map from which a place can be read.

Sizes of neighbouring maps need not differ by a factor of two: every step resizes to the size of the next map.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

NUM_GROUPS = 8


class TopDown(nn.Module):
    """All maps not finer than a stride, brought to one width and summed from coarse to fine.

    A pyramid without a map of that stride, such as the single map of a vision transformer, gets one more step to it.

    Args:
        channels: Channels of the maps, fine to coarse.
        reductions: How many times smaller each map is than the input.
        image_size: Side of the network's input in pixels.
        stride: How many times smaller than the input the result is at least.
        width: Channels of the result, a multiple of 8.

    Source: Lin et al. 2017, feature pyramid networks, with one smoothing convolution per step; group norm as in
        Kirillov et al. 2019.
    """

    def __init__(
        self, channels: Sequence[int], reductions: Sequence[int], image_size: int, stride: int, width: int
    ) -> None:
        super().__init__()
        last = len(reductions) - 1
        self.first = next((level for level, reduction in enumerate(reductions) if reduction >= stride), last)
        used = channels[self.first :]
        self.laterals = nn.ModuleList(nn.Conv2d(count, width, kernel_size=1) for count in used)
        self.smooth = nn.ModuleList(_smooth(width) for _ in used)
        self.side = image_size // stride if reductions[self.first] > stride else None
        self.finer = _smooth(width) if self.side is not None else None

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps, float [N, C, h, w], fine to coarse, to float [N, width, h', w']."""
        used = maps[self.first :]
        values = self.smooth[-1](self.laterals[-1](used[-1]))
        for level in range(len(used) - 2, -1, -1):
            lateral = self.laterals[level](used[level])
            values = self.smooth[level](lateral + _resize(values, lateral.shape[-2:]))
        if self.finer is not None and self.side is not None:
            values = self.finer(_resize(values, (self.side, self.side)))
        fine: Tensor = values
        return fine


def _smooth(width: int) -> nn.Sequential:
    """3x3 convolution, group norm, ReLU."""
    conv = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return nn.Sequential(conv, nn.GroupNorm(NUM_GROUPS, width), nn.ReLU(inplace=True))


def _resize(values: Tensor, size: Sequence[int]) -> Tensor:
    """Resize bilinearly with aligned pixel areas, unless the size is right already."""
    height, width = size
    if values.shape[-2:] == (height, width):
        return values
    return F.interpolate(values, size=(height, width), mode="bilinear", align_corners=False)
