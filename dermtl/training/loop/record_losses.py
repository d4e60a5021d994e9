"""Losses of single records and their mean; both are independent of batches, processes and order."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dermtl.training.loop.loss import Objective, Targets

_Row = tuple[float, float]  # what a record adds to the numerator and to the denominator of a term


class RecordLosses:
    """Collects what every record with a target adds to each term of each head.

    Args:
        objective: Losses of the heads; learned weights are not used.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._rows: dict[str, dict[int, dict[str, _Row]]] = {name: {} for name in objective.heads}
        self._waiting: defaultdict[str, list[tuple[Sequence[int], Tensor, Tensor]]] = defaultdict(list)

    def add(self, indices: Sequence[int], raw: Mapping[str, Tensor], targets: Targets) -> None:
        """Add a batch.

        Args:
            indices: Index of each record.
            raw: Head to its raw output, [N, ...].
            targets: Head to the rows that have a target, and their targets.
        """
        for name, (rows, target) in targets.items():
            members = [indices[row] for row in rows.tolist()]
            known = raw[name].float()[rows]
            if self._objective.heads[name].rows == "together":
                self._waiting[name].append((members, known, target))
            else:
                self._store(name, members, known, target)

    def means(self, gather: Callable[[Any], list[Any]]) -> dict[str, float]:
        """``loss``, ``<head>.loss`` and ``<head>.loss.<term>`` over the records of all processes.

        Args:
            gather: Returns each process's value.
        """
        means: dict[str, float] = {}
        for name, records in self._gathered(gather).items():
            terms = _quotients(records)
            means.update({f"{name}.loss.{term}": value for term, value in terms.items()})
            if terms:
                means[f"{name}.loss"] = self._objective.factors[name] * sum(terms.values())
        if losses := [means[f"{name}.loss"] for name in self._rows if f"{name}.loss" in means]:
            means["loss"] = sum(losses)
        return means

    def by_record(self, gather: Callable[[Any], list[Any]]) -> dict[int, float]:
        """Index of a record to its loss; the mean over the records with a target is the loss of the heads."""
        total: defaultdict[int, float] = defaultdict(float)
        for name, records in self._gathered(gather).items():
            sums = {term: math.fsum(row[term][1] for row in records.values()) for term in _terms(records)}
            for index, row in records.items():
                shares = [value * len(records) / sums[term] for term, (value, _) in row.items() if sums[term] > 0]
                total[index] += self._objective.factors[name] * sum(shares)
        return dict(total)

    def _gathered(self, gather: Callable[[Any], list[Any]]) -> dict[str, dict[int, dict[str, _Row]]]:
        for name, parts in self._waiting.items():
            indices = [index for part, _, _ in parts for index in part]
            self._store(name, indices, torch.cat([raw for _, raw, _ in parts]), torch.cat([t for _, _, t in parts]))
        self._waiting.clear()
        rows: dict[str, dict[int, dict[str, _Row]]] = {name: {} for name in self._rows}
        for part in gather(self._rows):
            for name, records in part.items():
                rows[name].update(records)
        return rows

    def _store(self, name: str, indices: Sequence[int], raw: Tensor, target: Tensor) -> None:
        weights, ones = self._objective.weights(name, target), torch.ones(len(target))
        terms = {
            term: list(zip(values.tolist(), weights.get(term, ones).tolist(), strict=True))
            for term, values in self._objective.numerators(name, raw, target).items()
        }
        for row, index in enumerate(indices):
            self._rows[name][index] = {term: rows[row] for term, rows in terms.items()}


def _terms(records: Mapping[int, Mapping[str, _Row]]) -> list[str]:
    return list(next(iter(records.values()), {}))


def _quotients(records: Mapping[int, Mapping[str, _Row]]) -> dict[str, float]:
    """Term to the sum of its numerators over the sum of its denominators; terms with denominator 0 are left out."""
    quotients: dict[str, float] = {}
    for term in _terms(records):
        denominator = math.fsum(row[term][1] for row in records.values())
        values = [row[term][0] for row in records.values()]
        if denominator > 0:
            quotients[term] = math.fsum(values) / denominator if all(map(math.isfinite, values)) else math.nan
    return quotients
