"""The loss of several heads on one batch, of which any record may lack any target."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dermtl.model.head import Head
from dermtl.model.network import Network
from dermtl.plugins.blame import at_work

Targets = Mapping[str, tuple[Tensor, Tensor]]


class Objective(nn.Module):
    """The weighted sum of every head's terms.

    Args:
        network: Brings the heads' losses.
        weights: Head to the factor on its terms.
        learned: While training, also learn how far each head is to be trusted: its loss L counts as exp(-s) L + s / 2.

    Attributes:
        log_variances: The learned s of each head, float [H]; None where weights are fixed.

    Source: Kendall, Gal and Cipolla 2018, equation 7, with s = log(sigma^2).
    """

    def __init__(self, network: Network, weights: Mapping[str, float], *, learned: bool = False) -> None:
        super().__init__()
        # In a plain mapping, which does not make them this module's own: they are the network's.
        self._heads = {name: head for name, head in network.heads.items() if isinstance(head, Head)}
        self._weights = weights
        self.log_variances = nn.Parameter(torch.zeros(len(self._heads))) if learned else None

    def forward(
        self, raw: Mapping[str, Tensor], targets: Targets, totals: Mapping[str, float] | None = None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The loss of a batch, or of a part of one.

        Args:
            raw: Head to its raw output, [N, ...].
            targets: Head to the rows that have a target, and their targets.
            totals: Head to the rows of the whole batch that have a target, where ``targets`` holds a part of them;
                the losses of all parts then sum up to that of the batch.

        Returns:
            The weighted sum, None where no head has a target; and ``<head>.loss.<term>`` to each term, unweighted,
            detached.
        """
        total: Tensor | None = None
        terms: dict[str, Tensor] = {}
        for place, (name, head) in enumerate(self._heads.items()):
            if name not in targets:
                continue
            rows, target = targets[name]
            known = raw[name].float()
            if len(rows) < len(known):
                known = known[rows]
            with torch.autocast(known.device.type, enabled=False), at_work(name, "its loss"):
                found = head.loss(known, target)
                weighted = self._weights[name] * torch.stack(list(found.values())).sum()
            if self.training and self.log_variances is not None:
                weighted = torch.exp(-self.log_variances[place]) * weighted + self.log_variances[place] / 2
            if totals is not None:
                weighted = weighted * (len(rows) / totals[name])
            total = weighted if total is None else total + weighted
            terms.update({f"{name}.loss.{term}": value.detach() for term, value in found.items()})
        return total, terms

    def learned_weights(self) -> dict[str, float]:
        """``<head>.weight`` to exp(-s); empty where weights are fixed."""
        if self.log_variances is None:
            return {}
        found = torch.exp(-self.log_variances.detach()).tolist()
        return {f"{name}.weight": weight for name, weight in zip(self._heads, found, strict=True)}


class Learner(nn.Module):
    """The network with its objective: one call of it reaches every parameter that learns.

    Args:
        network: Which learns.
        objective: What for.
        tied: Give every head that any process has a target for a gradient on all of them, zero where need be: sharded
            processes sum only what all of them have.
    """

    def __init__(self, network: Network, objective: Objective, *, tied: bool = False) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self._tied = tied

    def forward(
        self, images: Tensor, targets: Targets, totals: Mapping[str, float]
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What the objective says of the network's answer to ``images``, uint8 or float [N, 3, S, S].

        Without any target in this part the loss is zero, yet tied to every output: among several processes each has to
        take part in the sum of gradients.
        """
        raw = self.network(images)
        loss, terms = self.objective(raw, targets, totals)
        if self._tied:
            zero = [raw[name].float().sum() * 0 for name, total in totals.items() if total and name not in targets]
            return torch.stack([*zero, *([loss] if loss is not None else [])]).sum(), terms
        return (torch.stack([value.sum() for value in raw.values()]).sum() * 0 if loss is None else loss), terms


class Means:
    """Running means of named values, each over its own rows."""

    def __init__(self, sums: Mapping[str, float] | None = None, counts: Mapping[str, float] | None = None) -> None:
        self.sums: dict[str, float] = dict(sums or {})
        self.counts: dict[str, float] = dict(counts or {})

    def add(self, name: str, value: float, rows: float, count: float | None = None) -> None:
        """Add a mean over ``rows`` rows, which counts as ``count`` of them."""
        self.sums[name] = self.sums.get(name, 0.0) + value * rows
        self.counts[name] = self.counts.get(name, 0) + (rows if count is None else count)

    def values(self) -> dict[str, float]:
        """Name to mean."""
        return {name: total / self.counts[name] for name, total in self.sums.items() if self.counts[name]}

    def pooled(self, gather: Callable[[Any], list[Any]]) -> "Means":
        """The means over all processes, of which ``gather`` brings each one's value."""
        whole = Means()
        for sums, counts in gather((self.sums, self.counts)):
            for name, total in sums.items():
                whole.sums[name] = whole.sums.get(name, 0.0) + total
                whole.counts[name] = whole.counts.get(name, 0) + counts[name]
        return whole
