"""``train: auto``: the linear probe and the fine-tuned network, compared on the validation records."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dermtl.kinds import Record


def choose(probe: Mapping[int, float], finetuned: Mapping[int, float], records: Sequence[Record]) -> dict[str, Any]:
    """The one-standard-error rule on paired losses, averaged within groups first.

    Args:
        probe: Index of a record to its loss after the heads alone were trained.
        finetuned: Index of a record to its loss after everything was trained.
        records: Validation records, with their groups.

    Returns:
        ``gain``, the mean decrease of the loss by fine-tuning; ``standard_error`` of the gain, None for fewer than two
        groups; ``groups``, their number; ``chosen``, ``all`` if the gain exceeds one standard error, else ``head``.

    Source: Breiman et al. 1984, section 3.4.3, applied to differences, since both are measured on the same records.
    """
    gains: defaultdict[str, list[float]] = defaultdict(list)
    for index in sorted(probe):
        gains[records[index].group or f"\0{index}"].append(probe[index] - finetuned[index])
    means = np.array([np.mean(values) for values in gains.values()])
    error = float(means.std(ddof=1) / len(means) ** 0.5) if len(means) > 1 else None
    gain = float(means.mean()) if len(means) else 0.0
    return {
        "gain": gain,
        "standard_error": error,
        "groups": len(means),
        "chosen": "all" if error is not None and gain > error else "head",
    }
