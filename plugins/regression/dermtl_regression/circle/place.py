"""Soft-argmax: a place on a feature map, and the features at that place."""

import torch
from torch import Tensor, nn

_INITIAL_STD = 1e-2  # small, so that an untrained map scores all places about equally and the place is the middle


class SoftArgmax(nn.Module):
    """The expected place under a softmax over a map, and the mean of the map's features under that softmax.

    The map covers the whole frame, whatever its size: the place in row i and column j is at
    ((j + 1/2) / w, (i + 1/2) / h).

    Args:
        width: Channels of the map.

    Source: Nibali et al. 2018, numerical coordinate regression; Luvizon et al. 2019 for reading features there.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(width, 1, kernel_size=1, bias=False)  # a bias would cancel in the softmax
        nn.init.normal_(self.score.weight, std=_INITIAL_STD)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The place and the features there.

        Args:
            values: float [N, C, h, w].

        Returns:
            x and y, float32 [N, 2] in 0..1, and features, float32 [N, C].
        """
        score = self.score(values).float()
        height, width = score.shape[-2:]
        share = torch.softmax(score.flatten(2), dim=2)  # [N, 1, h * w]
        x = (torch.arange(width, device=score.device, dtype=torch.float32) + 0.5) / width
        y = (torch.arange(height, device=score.device, dtype=torch.float32) + 0.5) / height
        places = torch.stack([x.repeat(height), y.repeat_interleave(width)])  # [2, h * w]
        there = (values.float().flatten(2) * share).sum(dim=2)
        return (share * places).sum(dim=2), there
