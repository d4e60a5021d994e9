"""One pass over the validation records: the loss in the network frame, the metrics in the source frame."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from dermtl.evaluation.scoring import Scores
from dermtl.model.network import Network
from dermtl.model.predictor import restore_batch
from dermtl.plugins.plan import HeadPlan
from dermtl.training.dataset import Batch
from dermtl.training.frozen import replaying
from dermtl.training.objective import Means, Objective


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
        ``loss``, where any record has a target; ``<head>.loss`` and ``<head>.loss.<term>``; ``<head>.<metric>``.
    """
    kinds = {name: kind for plan in plans.values() for name, kind in plan.outputs.items()}
    scores, means = Scores(plans), Means()
    network.eval()
    objective.eval()
    with torch.no_grad():
        for batch in batches:
            with replaying(batch.frozen, device):
                raw = network(batch.images.to(device))
            targets: dict[str, tuple[Tensor, Tensor]] = {}
            for name, (rows, target) in batch.targets.items():
                targets[name] = (rows.to(device), target.to(device))
                # A head's own mean over its own rows: batches of unlike size must not count alike.
                total, terms = objective(raw, {name: targets[name]})
                assert total is not None
                means.add(f"{name}.loss", float(total), len(rows))
                for term, value in terms.items():
                    means.add(term, float(value), len(rows))
            values = restore_batch(network.activate(raw), kinds, batch.sizes_hw, batch.images.shape[-1])
            for index, predicted, annotations in zip(batch.indices, values, batch.annotations, strict=True):
                scores.add(index, predicted, annotations)
    found = means.pooled(gather).values()
    scores.pool(gather)
    losses = [found[f"{name}.loss"] for name in plans if f"{name}.loss" in found]
    if losses:
        found["loss"] = sum(losses)
    for name in plans:
        found.update({f"{name}.{metric}": float(value) for metric, value in scores.summary(name).items()})
    return found
