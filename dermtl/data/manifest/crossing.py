"""What must not stand on two sides of a split: a group, or copies of one picture."""

from collections.abc import Sequence

from dermtl.data.duplicates.near_duplicates import Copy
from dermtl.errors import LeakageError
from dermtl.kinds import Record


def refuse_leaks(records: Sequence[Record]) -> None:
    """Check that no group stands in two splits.

    Raises:
        LeakageError: Naming a group and a picture on either side.
    """
    first: dict[str, Record] = {}
    for record in records:
        other = first.setdefault(record.group, record)
        if other.split != record.split:
            raise LeakageError(
                f"group {record.group!r} is in {other.split} ({other.image}, {other.where}) "
                f"and in {record.split} ({record.image})",
                where=record.where,
                hint="put all pictures of a group into one split, or name other columns in data.group",
            )


def refuse_copies(records: Sequence[Record], copies: Sequence[Copy]) -> None:
    """Check that no copies stand in two splits.

    Raises:
        LeakageError: Naming the first pair, and how many more there are.
    """
    crossing = [copy for copy in copies if records[copy.one].split != records[copy.other].split]
    if crossing:
        one, other = records[crossing[0].one], records[crossing[0].other]
        more = f"; and {len(crossing) - 1} more pairs" if len(crossing) > 1 else ""
        raise LeakageError(
            f"{one.image} ({one.split}) and {other.image} ({other.split}) show the same picture "
            f"({crossing[0].reason}, likeness {crossing[0].likeness:.2f}){more}",
            where=other.where,
            hint="put them on one side, or set data.allow_leakage: true, which the run records",
        )
