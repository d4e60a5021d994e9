"""The loss of several heads on one batch, of which any record may lack any target."""

from collections.abc import Mapping

import torch
from torch import Tensor

from dermtl.model.head import Head
from dermtl.model.network import Network


class Objective:
    """The weighted sum of every head's terms.

    Args:
        network: Brings the heads' losses.
        weights: Head to the factor on its terms.
    """

    def __init__(self, network: Network, weights: Mapping[str, float]) -> None:
        self._heads = {name: head for name, head in network.heads.items() if isinstance(head, Head)}
        self._weights = weights

    def __call__(
        self, raw: Mapping[str, Tensor], targets: Mapping[str, tuple[Tensor, Tensor]]
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The loss of a batch.

        Args:
            raw: Head to its raw output, [N, ...].
            targets: Head to the rows that have a target, and their targets.

        Returns:
            The weighted sum, None where no head has a target; and ``<head>.loss.<term>`` to each term, unweighted,
            detached.
        """
        total: Tensor | None = None
        terms: dict[str, Tensor] = {}
        for name, (rows, target) in targets.items():
            known = raw[name].float()
            if len(rows) < len(known):
                known = known[rows]
            with torch.autocast(known.device.type, enabled=False):
                found = self._heads[name].loss(known, target)
            weighted = self._weights[name] * torch.stack(list(found.values())).sum()
            total = weighted if total is None else total + weighted
            terms.update({f"{name}.loss.{term}": value.detach() for term, value in found.items()})
        return total, terms


class Means:
    """Running means of named values, each over its own rows."""

    def __init__(self, sums: Mapping[str, float] | None = None, counts: Mapping[str, float] | None = None) -> None:
        self.sums: dict[str, float] = dict(sums or {})
        self.counts: dict[str, float] = dict(counts or {})

    def add(self, name: str, value: float, rows: int) -> None:
        """Add a mean over ``rows`` rows."""
        self.sums[name] = self.sums.get(name, 0.0) + value * rows
        self.counts[name] = self.counts.get(name, 0) + rows

    def values(self) -> dict[str, float]:
        """Name to mean."""
        return {name: total / self.counts[name] for name, total in self.sums.items() if self.counts[name]}
