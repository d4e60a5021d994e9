"""Class weights: their values, and how they enter the loss.

The loss of each row is multiplied by the weight of its class. dermtl divides the sum over the batch by the sum of
:func:`row_weights` over the same rows, so the loss is the weighted mean of the whole batch.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def inverse_frequency(counts: Mapping[str, int]) -> dict[str, float]:
    """Weights in proportion to 1 / count, with mean 1 over the classes.

    Args:
        counts: Class to its number of training records, at least 1.
    """
    total = sum(1 / count for count in counts.values())
    return {name: len(counts) / (count * total) for name, count in counts.items()}


def row_weights(class_weights: "Tensor", target: "Tensor") -> "Tensor":
    """Weight of each row: that of its class, or the mean over its classes by their shares.

    Args:
        class_weights: float32 [K].
        target: int64 [n], index of the class; or float32 [n, K], the share of each class, rows sum to one.

    Returns:
        float32 [n].
    """
    return class_weights[target] if target.ndim == 1 else target @ class_weights
