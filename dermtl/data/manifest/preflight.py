"""The look before the run: does every picture open, can every annotation be read? Makes and changes nothing."""

from collections.abc import Iterator, Mapping, Sequence

from dermtl.data.manifest.ranges import tell_ranges
from dermtl.data.manifest.truths import judge_sides
from dermtl.errors import DataError
from dermtl.files.cores import count_cores
from dermtl.files.prefetch import batched, prefetch
from dermtl.kinds.kind import Kind
from dermtl.kinds.record import Record

_CHUNK = 64  # records a task: a task a record would cost more than the record


def preflight(records: Sequence[Record], kinds: Mapping[str, Kind]) -> None:
    """Read every picture's header and every annotation, masks included; odd ranges and profiles are logged.

    Args:
        records: All records that a run will use.
        kinds: Head to the kind of its truth.

    Raises:
        DataError: The first fault in the order of the records (an ImageReadError or an AnnotationError), with its
            row, and how many more records have faults. Or a side of the split has no truth.
    """
    workers = min(16, 4 * count_cores())  # more than cores: much of it is waiting for the disk
    looks = prefetch(
        lambda chunk: list(_faults(chunk, kinds)), batched(records, _CHUNK), workers=workers, spare=workers
    )
    faults = [fault for found in looks for fault in found]
    if faults:
        first, more = faults[0], len(faults) - 1
        if not more:
            raise first
        raise type(first)(f"{first.message}; and {more} more with faults", where=first.where, hint=first.hint)
    judge_sides(records, kinds)
    tell_ranges(records)


def _faults(records: Sequence[Record], kinds: Mapping[str, Kind]) -> Iterator[DataError]:
    """The first fault of each record that has one."""
    for record in records:
        try:
            _ = record.size_hw
            for kind in kinds.values():
                kind.read(record)
        except DataError as fault:
            yield located(fault, record)


def located(fault: DataError, record: Record) -> DataError:
    """The fault with its row, where it knows only its file."""
    if record.where in fault.where:
        return fault
    where = f"{record.where}: {fault.where}" if fault.where else record.where
    return type(fault)(fault.message, where=where, hint=fault.hint)
