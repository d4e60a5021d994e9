"""An ensemble: the networks of several folds as one network, whose outputs are the mean of theirs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dermtl.model.network import Network
from dermtl.model.predictor import temper


class Ensemble(Network):
    """Several networks of one experiment, each with its temperatures.

    Args:
        members: Networks with the same heads and outputs.
        temperatures: For each network, head to temperature.
    """

    def __init__(self, members: Sequence[Network], temperatures: Sequence[Mapping[str, float]]) -> None:
        super().__init__(members[0].backbone, dict(members[0].heads.items()))  # type: ignore[arg-type]  # heads are Head
        self.members = nn.ModuleList(members)
        self._temperatures = list(temperatures)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Activated outputs in the network frame, the mean over members.

        Args:
            image: uint8 or float [N, 3, S, S] in 0..255, RGB, letterboxed.
        """
        outputs: list[dict[str, Tensor]] = []
        for member, temperatures in zip(self.members, self._temperatures, strict=True):
            assert isinstance(member, Network)
            outputs.append(member.activate(temper(member, member(image), temperatures)))
        return {name: torch.stack([output[name] for output in outputs]).mean(dim=0) for name in outputs[0]}

    def activate(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs of :meth:`forward` are activated already."""
        return dict(raw)
