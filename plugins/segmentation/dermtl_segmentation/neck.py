"""From the single feature map of a plain transformer to a pyramid."""

from collections.abc import Sequence

from torch import Tensor, nn

from dermtl_segmentation.decoder import Norm


class SingleMapNeck(nn.Module):
    """Four scales of one map: four and two times finer by transposed convolution, unchanged, and two times coarser.

    Of several maps of equal size the last, deepest one is used.

    Args:
        channels: Channels of the map.
        reduction: How many times smaller the map is than the input.
        norm: Builds a norm for a number of channels.

    Attributes:
        channels: Channels of each of the four maps, fine to coarse.
        reductions: How many times smaller each of the four maps is than the input, fine to coarse.

    Source: Li et al. 2022, simple feature pyramid of plain vision transformers.
    """

    def __init__(self, channels: int, reduction: int, norm: Norm) -> None:
        super().__init__()
        half, quarter = max(channels // 2, 1), max(channels // 4, 1)
        self.channels = (quarter, half, channels, channels)
        self.reductions = (max(reduction // 4, 1), max(reduction // 2, 1), reduction, reduction * 2)
        self.finest = nn.Sequential(_double(channels, half), norm(half), nn.GELU(), _double(half, quarter))
        self.fine = _double(channels, half)
        self.coarse = nn.MaxPool2d(2, ceil_mode=True)  # keeps a map of one pixel

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The last of the maps, [N, C, h, w], at four scales."""
        values = maps[-1]
        return self.finest(values), self.fine(values), values, self.coarse(values)


def _double(channels: int, width: int) -> nn.Module:
    return nn.ConvTranspose2d(channels, width, kernel_size=2, stride=2)
