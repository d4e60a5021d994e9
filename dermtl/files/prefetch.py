"""Prefetching: work in threads ahead of its reader, in order, and by a bounded number of items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from dermtl.files.cores import count_cores

_SPARE = 8
Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, spare: int = 1
) -> Iterator[Result]:
    """``map`` in threads, in order, with a bounded number of items ahead of the reader.

    An exception is raised in place of its result. Leaving early cancels items that have not begun and waits for those
    that have.

    Args:
        function: Function of an item, called from several threads.
        items: Items, read in the thread of the reader, no further than needed.
        workers: Number of threads.
        spare: Number of results that may wait in addition to one for each thread. More of them keep all threads busy
            if some items take much longer than others, but each holds its memory.
    """
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dermtl")
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= workers + spare:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items; the last one may be shorter."""
    waiting = iter(items)
    while batch := list(islice(waiting, size)):
        yield batch


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``map`` in order on all cores of this process, for small results."""
    workers = count_cores()
    return prefetch(function, items, workers=workers, spare=_SPARE * workers)
