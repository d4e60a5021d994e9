"""The loss of several heads on one batch, of which any record may lack any target.

Every term of every head is a quotient: what the rows add to its numerator over what they add to its denominator, both
summed over the whole batch, in however many parts and processes it is computed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dermtl.errors import PluginContract
from dermtl.model.head import Features, Head
from dermtl.model.network import Network
from dermtl.plugins.head_errors import head_errors

Targets = Mapping[str, tuple[Tensor, Tensor]]
Denominators = dict[str, dict[str, float]]
_ROWS = ""  # stands for the terms that count rows


class Objective(nn.Module):
    """The weighted sum of every head's terms.

    Args:
        network: Brings the heads' losses.
        weights: Head to the factor on its terms.
        learned: While training, also learn how far each head is to be trusted: its loss L counts as exp(-s) L + s / 2.

    Attributes:
        log_variances: The learned s of each head, float [H]; None if weights are fixed.
        heads: Name to head.
        factors: Head to the factor on its terms.

    Source: Kendall, Gal and Cipolla 2018, equation 7, with s = log(sigma^2).
    """

    def __init__(self, network: Network, weights: Mapping[str, float], *, learned: bool = False) -> None:
        super().__init__()
        # In a plain mapping, which does not make them this module's own: they are the network's.
        self.heads = {name: head for name, head in network.heads.items() if isinstance(head, Head)}
        self.factors = weights
        self.log_variances = nn.Parameter(torch.zeros(len(self.heads))) if learned else None

    def forward(
        self, raw: Mapping[str, Tensor], targets: Targets, totals: Denominators | None = None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The loss of a batch, or what a part of a batch adds to it.

        Args:
            raw: Head to its raw output, [N, ...].
            targets: Head to the rows that have a target, and their targets.
            totals: Denominators of the whole batch, if ``targets`` holds a part of it; see :func:`add_up`.

        Returns:
            The weighted sum, None if no row adds to it; and ``<head>.loss.<term>`` to the sum of the rows' numerators,
            unweighted, detached.
        """
        total: Tensor | None = None
        sums: dict[str, Tensor] = {}
        totals = totals if totals is not None else self.denominators(targets)
        for place, name in enumerate(self.heads):
            if name not in targets:
                continue
            rows, target = targets[name]
            known = raw[name].float()
            found = self.numerators(name, known if len(rows) == len(known) else known[rows], target)
            if unknown := totals[name].keys() - found.keys() - {_ROWS}:
                message = f"its weights name {min(unknown)!r}, its loss {', '.join(found) or 'nothing'}"
                raise PluginContract(message, where=_where(name))
            head: Tensor | None = None
            for term, values in found.items():
                numerator, denominator = values.sum(), denominator_of(totals[name], term)
                sums[f"{name}.loss.{term}"] = numerator.detach()
                if denominator > 0:
                    quotient = numerator / denominator
                    head = quotient if head is None else head + quotient
            if head is None:
                continue
            head = self.factors[name] * head
            if self.training and self.log_variances is not None:
                share = len(rows) / totals[name][_ROWS]
                head = torch.exp(-self.log_variances[place]) * head + self.log_variances[place] / 2 * share
            total = head if total is None else total + head
        return total, sums

    def numerators(self, name: str, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What each row of one head adds to the numerator of each term.

        Args:
            name: Name of the head.
            raw: float32 [n, ...], rows that have a target.
            target: [n, ...].

        Returns:
            Term to float32 [n].

        Raises:
            PluginContract: The head gives something else.
        """
        with torch.autocast(raw.device.type, enabled=False), head_errors(name, "its loss"):
            found = self.heads[name].loss(raw, target)
        _require_rows(name, "loss", found, len(target))
        return found

    def weights(self, name: str, target: Tensor) -> Mapping[str, Tensor]:
        """What each row of one head adds to the denominators that do not count rows: term to float32 [n].

        Raises:
            PluginContract: The head gives something else.
        """
        with head_errors(name, "the weights of its loss"):
            found = self.heads[name].weights(target)
        _require_rows(name, "weights", found, len(target))
        return found

    def denominators(self, targets: Targets) -> Denominators:
        """Head to term to the sum of its rows' weights, and to their number; of targets alone."""
        return {
            name: {_ROWS: float(len(rows))}
            | {term: float(weights.sum()) for term, weights in self.weights(name, target).items()}
            for name, (rows, target) in targets.items()
        }

    def learned_weights(self) -> dict[str, float]:
        """``<head>.weight`` to exp(-s); empty if weights are fixed."""
        if self.log_variances is None:
            return {}
        found = torch.exp(-self.log_variances.detach()).tolist()
        return {f"{name}.weight": weight for name, weight in zip(self.heads, found, strict=True)}


class Learner(nn.Module):
    """The network with its objective: one call of it reaches every parameter that learns.

    Args:
        network: Which learns.
        objective: What for.
        tied: Give every head that any process has a target for a gradient on all of them, zero if need be: sharded
            processes sum only what all of them have.
    """

    def __init__(self, network: Network, objective: Objective, *, tied: bool = False) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self._tied = tied

    def forward(
        self, images: Tensor, targets: Targets, totals: Denominators, features: Sequence[Tensor] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the objective says of the network's answer to ``images``, uint8 or float [N, 3, s, s].

        ``features``, the pooled ones and then the maps, stand in for the backbone if they are given.

        Without any target in this part the loss is zero, yet tied to every output: among several processes each has to
        take part in the sum of gradients.
        """
        # As tensors, which Fabric casts; it takes no frozen dataclass.
        given = Features(features[0], tuple(features[1:])) if features else None
        raw = self.network(images) if given is None else self.network.run_heads(given)
        loss, sums = self.objective(raw, targets, totals)
        if self._tied:
            zero = [raw[name].float().sum() * 0 for name in totals]
            return torch.stack([*zero, *([loss] if loss is not None else [])]).sum(), sums
        return (torch.stack([value.sum() for value in raw.values()]).sum() * 0 if loss is None else loss), sums


class Means:
    """Running quotients of named sums."""

    def __init__(self, sums: Mapping[str, float] | None = None, counts: Mapping[str, float] | None = None) -> None:
        self.sums: dict[str, float] = dict(sums or {})
        self.counts: dict[str, float] = dict(counts or {})

    def add(self, name: str, numerator: float, denominator: float) -> None:
        """Add to both sums of a name."""
        self.sums[name] = self.sums.get(name, 0.0) + numerator
        self.counts[name] = self.counts.get(name, 0.0) + denominator

    def values(self) -> dict[str, float]:
        """Name to quotient; names whose denominator is 0 are left out."""
        return {name: total / self.counts[name] for name, total in self.sums.items() if self.counts[name]}

    def pooled(self, gather: Callable[[Any], list[Any]]) -> "Means":
        """The quotients over all processes, of which ``gather`` brings each one's value."""
        whole = Means()
        for sums, counts in gather((self.sums, self.counts)):
            for name, total in sums.items():
                whole.add(name, total, counts[name])
        return whole


def add_up(parts: Sequence[Denominators]) -> Denominators:
    """The denominators of a batch from those of its parts."""
    found: Denominators = {}
    for part in parts:
        for name, terms in part.items():
            own = found.setdefault(name, {})
            for term, value in terms.items():
                own[term] = own.get(term, 0.0) + value
    return found


def denominator_of(totals: Mapping[str, float], term: str) -> float:
    """The denominator of a term among those of its head; a term without one of its own counts rows."""
    return totals.get(term, totals[_ROWS])


def _require_rows(name: str, what: str, found: object, num: int) -> None:
    """A plugin's tensors are one number a row."""
    if not isinstance(found, Mapping):
        raise PluginContract(f"its {what} gives {type(found).__name__}, expected a mapping", where=_where(name))
    for term, value in found.items():
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if shape != (num,):
            raise PluginContract(
                f"its {what} gives {term!r} with shape {shape}, expected ({num},): what each row adds",
                where=_where(name),
                hint="leave the mean over rows to dermtl; docs/plugins.md says how",
            )


def _where(name: str) -> str:
    return f"head {name!r}"
