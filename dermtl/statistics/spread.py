"""A few of many items, from the first to the last. Knows nothing of what they are."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def spread(items: Sequence[Item], num: int) -> list[Item]:
    """At most ``num`` items at even distances, the first and the last among them.

    Tables are often sorted by class, so that the first items of one hold a class or two.

    Args:
        items: Items, in any order.
        num: Largest number of items to take, 1 or more.
    """
    places = np.linspace(0, len(items) - 1, min(len(items), num)).round().astype(int)
    return [items[place] for place in places.tolist()]
