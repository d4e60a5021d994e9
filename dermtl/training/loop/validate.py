"""Validation: the loss in the network frame and the metrics in the source frame, over all validation records."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from dermtl.evaluation.metrics.record_scores import RecordScores
from dermtl.model.network import Network
from dermtl.model.predictor import restore_batch
from dermtl.plugins.plan import HeadPlan
from dermtl.training.data.dataset import Batch
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.record_losses import RecordLosses


class Validator:
    """Validates a network with the weights that it has at the moment.

    Args:
        network: Network to validate.
        plans: Head to its plan.
        objective: Loss of the heads; learned weights are not used.
        device: Device of the network.
        gather: Returns each process's value; default: one process.
    """

    def __init__(
        self,
        network: Network,
        plans: Mapping[str, HeadPlan],
        objective: Objective,
        device: torch.device,
        gather: Callable[[Any], list[Any]] = lambda value: [value],
    ) -> None:
        self._network = network
        self._plans = plans
        self._objective = objective
        self._device = device
        self._gather = gather

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Losses and metrics over all processes.

        Args:
            batches: This process's validation batches.

        Returns:
            ``loss``, if any record has a target; ``<head>.loss`` and ``<head>.loss.<term>``; ``<head>.<metric>``.
        """
        kinds = {name: kind for plan in self._plans.values() for name, kind in plan.outputs.items()}
        scores, losses = RecordScores(self._plans), RecordLosses(self._objective)
        with self._evaluating():
            for batch in batches:
                raw = self._run(batch, losses)
                values = restore_batch(self._network.activate(raw), kinds, batch.sizes_hw, batch.images.shape[-1])
                for index, predicted, annotations in zip(batch.indices, values, batch.annotations, strict=True):
                    scores.add(index, predicted, annotations)
            figures = losses.means(self._gather)
        scores.pool(self._gather)
        for name in self._plans:
            figures.update({f"{name}.{metric}": float(value) for metric, value in scores.summary(name).items()})
        return figures

    def record_losses(self, batches: Iterable[Batch]) -> dict[int, float]:
        """Index of each validation record with a target, of all processes, to its loss."""
        losses = RecordLosses(self._objective)
        with self._evaluating():
            for batch in batches:
                self._run(batch, losses)
            return losses.by_record(self._gather)

    def _evaluating(self) -> torch.no_grad:
        """Evaluation mode, and a context without gradients."""
        self._network.eval()
        self._objective.eval()
        return torch.no_grad()

    def _run(self, batch: Batch, losses: RecordLosses) -> dict[str, Tensor]:
        """Raw outputs of a batch, whose losses are added."""
        if batch.features is not None:
            raw: dict[str, Tensor] = self._network.run_heads(batch.features.to(self._device))
        else:
            raw = self._network(batch.images.to(self._device))
        losses.add(batch.indices, raw, batch.targets_on(self._device))
        return raw
