"""One pass over the validation records: the loss in the network frame, the metrics in the source frame."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from dermtl.evaluation.metrics.record_scores import RecordScores
from dermtl.model.network import Network
from dermtl.model.predictor import restore_batch
from dermtl.plugins.plan import HeadPlan
from dermtl.training.data.dataset import Batch
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.record_losses import RecordLosses


def validate(
    network: Network,
    batches: Iterable[Batch],
    plans: Mapping[str, HeadPlan],
    objective: Objective,
    device: torch.device,
    *,
    gather: Callable[[Any], list[Any]] = lambda own: [own],
) -> dict[str, float]:
    """Loss, terms and metrics.

    Args:
        network: To validate.
        batches: Validation batches, of this process.
        plans: The heads.
        objective: Their loss; learned weights do not count here.
        device: Where the network is.
        gather: Brings each process's value.

    Returns:
        ``loss``, if any record has a target; ``<head>.loss`` and ``<head>.loss.<term>``; ``<head>.<metric>``.
    """
    kinds = {name: kind for plan in plans.values() for name, kind in plan.outputs.items()}
    scores, losses = RecordScores(plans), RecordLosses(objective)
    network.eval()
    objective.eval()
    with torch.no_grad():
        for batch in batches:
            if batch.features is not None:
                raw = network.run_heads(batch.features.to(device))
            else:
                raw = network(batch.images.to(device))
            targets = {name: (rows.to(device), target.to(device)) for name, (rows, target) in batch.targets.items()}
            losses.add(batch.indices, raw, targets)
            values = restore_batch(network.activate(raw), kinds, batch.sizes_hw, batch.images.shape[-1])
            for index, predicted, annotations in zip(batch.indices, values, batch.annotations, strict=True):
                scores.add(index, predicted, annotations)
        found = losses.means(gather)
    scores.pool(gather)
    for name in plans:
        found.update({f"{name}.{metric}": float(value) for metric, value in scores.summary(name).items()})
    return found
