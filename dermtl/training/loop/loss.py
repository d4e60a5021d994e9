"""The loss of several heads on one batch, in which any record may lack any target.

Every term of every head is a quotient: what the rows add to its numerator over what they add to its denominator, both
summed over the whole batch (:mod:`~dermtl.training.distributed.loss_averaging`). Class weights enter here, as what a
row adds to numerator and denominator.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dermtl.errors import PluginContract
from dermtl.model.head import Head
from dermtl.model.network import Network
from dermtl.plugins.head_errors import head_errors
from dermtl.training.distributed.loss_averaging import NUM_ROWS, Denominators, denominator_of

Targets = Mapping[str, tuple[Tensor, Tensor]]
"""Head to the rows of the batch that have a target, int64 [n], and their targets, [n, ...]."""


class Objective(nn.Module):
    """The weighted sum of all terms of all heads.

    Args:
        network: Network whose heads define the losses.
        weights: Head to the factor on its terms.
        learned: While training, also learn a weight for each head: its loss L counts as exp(-s) L + s / 2.

    Attributes:
        log_variances: The learned s of each head, float [H]; None if weights are fixed.
        heads: Name to head.
        factors: Head to the factor on its terms.

    Source: Kendall, Gal and Cipolla 2018, equation 7, with s = log(sigma^2).
    """

    def __init__(self, network: Network, weights: Mapping[str, float], *, learned: bool = False) -> None:
        super().__init__()
        # A plain dict does not register the heads, which are submodules of the network.
        self.heads = {name: head for name, head in network.heads.items() if isinstance(head, Head)}
        self.factors = weights
        self.log_variances = nn.Parameter(torch.zeros(len(self.heads))) if learned else None

    def forward(
        self, raw: Mapping[str, Tensor], targets: Targets, totals: Denominators | None = None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The loss of a batch, or what a part of a batch adds to it.

        Args:
            raw: Head to its raw output, [N, ...].
            targets: Targets of the rows in ``raw``.
            totals: Denominators of the whole batch, if ``raw`` is a part of it.

        Returns:
            The weighted sum, None if no row adds to it; and ``<head>.loss.<term>`` to the sum of the rows' numerators,
            unweighted, detached.
        """
        total: Tensor | None = None
        sums: dict[str, Tensor] = {}
        totals = totals if totals is not None else self.denominators(targets)
        for index, name in enumerate(self.heads):
            if name not in targets:
                continue
            rows, target = targets[name]
            known = raw[name].float()
            terms = self.numerators(name, known if len(rows) == len(known) else known[rows], target)
            if unknown := totals[name].keys() - terms.keys() - {NUM_ROWS}:
                message = f"its weights name {min(unknown)!r}, its loss {', '.join(terms) or 'nothing'}"
                raise PluginContract(message, where=_where(name))
            loss: Tensor | None = None
            for term, values in terms.items():
                numerator, denominator = values.sum(), denominator_of(term, totals[name])
                sums[f"{name}.loss.{term}"] = numerator.detach()
                if denominator > 0:
                    quotient = numerator / denominator
                    loss = quotient if loss is None else loss + quotient
            if loss is None:
                continue
            loss = self.factors[name] * loss
            if self.training and self.log_variances is not None:
                share = len(rows) / totals[name][NUM_ROWS]
                loss = torch.exp(-self.log_variances[index]) * loss + self.log_variances[index] / 2 * share
            total = loss if total is None else total + loss
        return total, sums

    def numerators(self, name: str, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What each row adds to the numerator of each term of a head.

        Args:
            name: Name of the head.
            raw: Raw output of the rows that have a target, float32 [n, ...].
            target: Targets of these rows, [n, ...].

        Returns:
            Term to float32 [n].

        Raises:
            PluginContract: The head's loss returns something else.
        """
        with torch.autocast(raw.device.type, enabled=False), head_errors(name, "its loss"):
            terms = self.heads[name].loss(raw, target)
        _require_rows(name, "loss", terms, len(target))
        return terms

    def weights(self, name: str, target: Tensor) -> Mapping[str, Tensor]:
        """What each row adds to the denominators of a head, such as the weight of its class.

        Returns:
            Term to float32 [n]; terms that are missing have the number of rows as denominator.

        Raises:
            PluginContract: The head's weights return something else.
        """
        with head_errors(name, "the weights of its loss"):
            terms = self.heads[name].weights(target)
        _require_rows(name, "weights", terms, len(target))
        return terms

    def denominators(self, targets: Targets) -> Denominators:
        """Denominators of a batch or of a part of it; they depend on the targets alone."""
        return {
            name: {NUM_ROWS: float(len(rows))}
            | {term: float(weights.sum()) for term, weights in self.weights(name, target).items()}
            for name, (rows, target) in targets.items()
        }

    def learned_weights(self) -> dict[str, float]:
        """``<head>.weight`` to exp(-s); empty if weights are fixed."""
        if self.log_variances is None:
            return {}
        weights = torch.exp(-self.log_variances.detach()).tolist()
        return {f"{name}.weight": weight for name, weight in zip(self.heads, weights, strict=True)}


def _require_rows(name: str, method: str, terms: object, num: int) -> None:
    """Check that a plugin's method returned one number per row and term."""
    if not isinstance(terms, Mapping):
        raise PluginContract(f"its {method} gives {type(terms).__name__}, expected a mapping", where=_where(name))
    for term, value in terms.items():
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if shape != (num,):
            raise PluginContract(
                f"its {method} gives {term!r} with shape {shape}, expected ({num},): what each row adds",
                where=_where(name),
                hint="leave the mean over rows to dermtl; docs/plugins.md says how",
            )


def _where(name: str) -> str:
    return f"head {name!r}"
