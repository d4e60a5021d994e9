"""Which sides of a split have truths: what nothing is known of can neither be learned nor scored."""

import logging
from collections.abc import Mapping, Sequence

from dermtl.errors import ManifestError
from dermtl.kinds import Category, Kind, Record

_log = logging.getLogger(__name__)
_SIDES = ("train", "val", "test")


def refuse_without_truth(records: Sequence[Record], kinds: Mapping[str, Kind], side: str) -> None:
    """Check that at least one record has a truth for at least one head, and warn of heads without any.

    Args:
        records: Records of one side of the split; if there are none, nothing is checked.
        kinds: Head to the kind of its truth.
        side: Name of the side of the split, for messages.

    Raises:
        DataError: No record has a truth, or a cell cannot be understood.
    """
    lacking = [name for name, kind in kinds.items() if not any(kind.read(record) is not None for record in records)]
    if not records or not lacking:
        return
    if len(lacking) == len(kinds):
        raise ManifestError(
            f"split {side}: none of its {len(records)} records has a truth for {_named(lacking)}",
            where=records[0].where.rpartition(":")[0],
            hint="fill the cells, or deal the records out anew",
        )
    _log.warning("split %s: none of its %d records has a truth for %s", side, len(records), _named(lacking))


def judge_sides(records: Sequence[Record], kinds: Mapping[str, Kind]) -> None:
    """Check every side of a split that has records, and warn where one holds a single class.

    Raises:
        DataError: A side has no truth at all.
    """
    for side in _SIDES:
        mine = [record for record in records if record.split == side]
        refuse_without_truth(mine, kinds, side)
        for name, kind in kinds.items():
            found = {text for record in mine if isinstance(kind, Category) and (text := record.text(kind.column))}
            if len(found) == 1 and side != "train":
                told = "split %s: all records with a truth for %s are %s; ranking and specificity have no value there"
                _log.warning(told, side, name, found.pop())


def _named(heads: Sequence[str]) -> str:
    return f"head {heads[0]}" if len(heads) == 1 else f"heads {', '.join(heads)}"
