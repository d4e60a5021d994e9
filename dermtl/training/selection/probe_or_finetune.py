"""Two candidates for the weights of a run, compared on the validation records."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dermtl.kinds import Record
from dermtl.model.checkpoint import load_weights
from dermtl.model.network import Network
from dermtl.training.data.dataset import Batch
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.record_losses import RecordLosses


def record_losses(
    network: Network,
    weights: Path,
    batches: Iterable[Batch],
    objective: Objective,
    device: torch.device,
    gather: Callable[[Any], list[Any]],
) -> dict[int, float]:
    """The loss of every record with a target, by its position, under stored weights; of all processes' records."""
    load_weights(weights, network)
    losses = RecordLosses(objective)
    network.eval()
    objective.eval()
    with torch.no_grad():
        for batch in batches:
            targets = {name: (rows.to(device), target.to(device)) for name, (rows, target) in batch.targets.items()}
            losses.add(batch.indices, network(batch.images.to(device)), targets)
        return losses.by_record(gather)


def choose(head: Mapping[int, float], fine: Mapping[int, float], records: Sequence[Record]) -> dict[str, Any]:
    """The one-standard-error rule on paired losses, averaged within groups first.

    Args:
        head: Position of a record to its loss where only the heads were trained.
        fine: The same where everything was.
        records: Bring the groups.

    Returns:
        ``gain``, by how much ``fine`` has less loss; ``standard_error`` of that, None for fewer than two groups;
        ``groups``, their number; ``chosen``, ``head`` or ``all``: the latter if it gains more than one standard error.

    Source: Breiman et al. 1984, section 3.4.3, on differences, since both were measured on the same records.
    """
    gains: defaultdict[str, list[float]] = defaultdict(list)
    for index in sorted(head):
        gains[records[index].group or f"\0{index}"].append(head[index] - fine[index])
    means = np.array([np.mean(own) for own in gains.values()])
    error = float(means.std(ddof=1) / len(means) ** 0.5) if len(means) > 1 else None
    gain = float(means.mean()) if len(means) else 0.0
    wins = error is not None and gain > error
    return {
        "gain": gain,
        "standard_error": error,
        "groups": len(means),
        "chosen": "all" if wins else "head",
    }
