"""Whether a model is tried on what it was trained on: pictures and ids of another table against the training's."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermtl.config.experiment import Data
from dermtl.data.duplicates.near_duplicates import PAIRS, find_shared
from dermtl.data.manifest.groups import group_columns
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import read_splits
from dermtl.errors import DataError, LeakageError
from dermtl.files.table import write_table
from dermtl.kinds import Record

_log = logging.getLogger(__name__)
_NAMED = 3


@dataclass(frozen=True)
class Trained:
    """What a model was trained on, as far as it can still be told.

    Attributes:
        records: Records of the training and of the validation split, by which the weights were chosen.
        columns: Names of the columns that hold ids.
        unknown: Why the training records are not known; empty if they are.
    """

    records: Sequence[Record] = ()
    columns: Sequence[str] = ()
    unknown: str = ""


@dataclass(frozen=True)
class Leak:
    """A picture that was trained on, and one that is tried.

    Attributes:
        trained: Record that was trained on.
        tested: Record that the model is tried on.
        reason: ``equal file``, ``copy``, ``review``, or the id they share, ``patient_id=7``.
        likeness: Likeness of the two pictures, 1 for equal files; None for a shared id.
    """

    trained: Record
    tested: Record
    reason: str
    likeness: float | None = None

    @property
    def is_sure(self) -> bool:
        """Whether it counts; what is to be reviewed does not."""
        return self.reason != "review"

    def __str__(self) -> str:
        what = "have" if self.likeness is None else "show the same picture:"
        how = self.reason if self.likeness is None else f"{self.reason}, likeness {self.likeness:.2f}"
        return f"{self.trained.image} ({self.trained.split}) and {self.tested.image} {what} {how}"


@dataclass(frozen=True)
class Audit:
    """What the comparison gave.

    Attributes:
        leaks: All leaks, copies first.
        num_trained: Number of pictures that were trained on.
        num_compared: Number of pictures that were trained on and could be read again.
        why: Why not all were compared; empty where they were.
    """

    leaks: Sequence[Leak]
    num_trained: int
    num_compared: int
    why: str

    def refuse(self) -> None:
        """Stop where anything leaks.

        Raises:
            LeakageError: Naming the first pairs, and how many more there are.
        """
        sure = [leak for leak in self.leaks if leak.is_sure]
        if sure:
            more = f"; and {len(sure) - _NAMED} more pairs" if len(sure) > _NAMED else ""
            raise LeakageError(
                f"the model was trained on what this table holds: {'; '.join(map(str, sure[:_NAMED]))}{more}",
                where=sure[0].tested.where,
                hint="take these rows out, rename ids that are equal by chance, or give --allow-leakage, which is "
                "recorded and lists all pairs in leakage_pairs.csv",
            )

    def to_json(self) -> dict[str, Any]:
        """Numbers for metrics.json; ``allowed`` where there were leaks and it went on."""
        copies = sum(leak.is_sure and leak.likeness is not None for leak in self.leaks)
        ids = sum(leak.likeness is None for leak in self.leaks)
        return {
            "checked": not self.why,
            "why": self.why,
            "trained_on": self.num_trained,
            "compared": self.num_compared,
            "copies": copies,
            "to_review": len(self.leaks) - copies - ids,
            "shared_ids": ids,
            "allowed": copies + ids > 0,
        }

    def write(self, folder: Path) -> None:
        """Write ``leakage_pairs.csv`` into a folder, where there are pairs; the distance is 1 - likeness."""
        rows = (
            (leak.trained.image, leak.tested.image, leak.reason, "" if leak.likeness is None else 1 - leak.likeness)
            for leak in self.leaks
        )
        if self.leaks:
            write_table(folder / "leakage_pairs.csv", PAIRS, rows)


def trained_on(data: Data, splits: Path) -> Trained:
    """What a run was trained on.

    Args:
        data: Data section of the run's experiment.
        splits: Path of the run's splits.csv.
    """
    try:
        records = read_splits(splits, read_manifest(data), allow_leakage=True)
    except DataError as error:
        return Trained(unknown=f"the table of the training cannot be read: {error.message}")
    used = [record for record in records if record.split in ("train", "val")]
    return Trained(used, group_columns(records, data.group))


def find_leaks(trained: Trained, records: Sequence[Record]) -> Audit:
    """Compare pictures and ids; says, and warns, where that cannot be done.

    Raises:
        ImageReadError: One of the records cannot be read.
    """
    if trained.unknown:
        _log.warning("leakage not checked: %s", trained.unknown)
        return Audit((), 0, 0, trained.unknown)
    _log.info("comparing %d pictures with %d that were trained on", len(records), len(trained.records))
    copies, unread = find_shared(trained.records, records)
    num, why = len(trained.records), ""
    if unread:
        why = f"{len(unread)} of {num} pictures of the training cannot be read any more, the first is {unread[0].image}"
        _log.warning("leakage not fully checked: %s", why)
    leaks = [
        Leak(trained.records[copy.one], records[copy.other], copy.reason, copy.likeness)
        for copy in sorted(copies, key=lambda copy: -copy.likeness)
    ]
    return Audit([*leaks, *_shared_ids(trained, records)], num, num - len(unread), why)


def _shared_ids(trained: Trained, records: Sequence[Record]) -> Iterator[Leak]:
    """Every record with an id that a picture of the training has in the same column."""
    for column in trained.columns:
        first: dict[str, Record] = {}
        for record in trained.records:
            first.setdefault(record.cells.get(column, "").strip(), record)
        first.pop("", None)
        for record in records:
            value = record.cells.get(column, "").strip()
            if value in first:
                yield Leak(first[value], record, f"{column}={value}")
