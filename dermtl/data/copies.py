"""Which records show the same picture: equal files, and copies that were turned, mirrored, rescaled or re-encoded."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermtl.data.check import located
from dermtl.data.similarity import COPY, fingerprint, like_pairs
from dermtl.data.table import write_table
from dermtl.errors import DataError
from dermtl.imaging.affine import Array
from dermtl.kinds.record import Record

PAIRS = ("image_a", "image_b", "reason", "distance")


@dataclass(frozen=True)
class Copy:
    """Two records that show the same picture, or perhaps do.

    Attributes:
        one: Position of a record.
        other: Position of a later one.
        likeness: 1 for equal files.
        reason: ``equal file``, ``copy``, or ``review``: too alike to pass over, not alike enough to join.
    """

    one: int
    other: int
    likeness: float
    reason: str

    @property
    def is_sure(self) -> bool:
        """Whether the two must stay together."""
        return self.reason != "review"


def find_copies(records: Sequence[Record]) -> list[Copy]:
    """Compare every picture with every other.

    Raises:
        ImageReadError: A picture cannot be read.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        looks = list(threads.map(_look, records))
    found: list[Copy] = []
    first: dict[str, int] = {}
    for index, (digest, _) in enumerate(looks):
        if (earlier := first.setdefault(digest, index)) != index:
            found.append(Copy(earlier, index, 1.0, "equal file"))
    distinct = np.array(sorted(first.values()), np.intp)
    if len(distinct):
        for i, j, alike in like_pairs(np.stack([looks[index][1] for index in distinct])):
            reason = "copy" if alike >= COPY else "review"
            found.append(Copy(int(distinct[i]), int(distinct[j]), alike, reason))
    return found


def write_copies(folder: Path, records: Sequence[Record], copies: Sequence[Copy]) -> None:
    """Write ``leakage_pairs.csv`` into a folder, most alike first; the distance is 1 - likeness."""
    rows = [
        (records[copy.one].image, records[copy.other].image, copy.reason, f"{1 - copy.likeness:.4f}")
        for copy in sorted(copies, key=lambda copy: -copy.likeness)
    ]
    write_table(folder / "leakage_pairs.csv", PAIRS, rows)


def _look(record: Record) -> tuple[str, Array]:
    try:
        look = fingerprint(record.path)
    except DataError as fault:
        raise located(fault, record) from None
    return hashlib.sha256(record.path.read_bytes()).hexdigest(), look
