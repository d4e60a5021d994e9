"""Work done ahead of who reads it, in threads, in order, and never far ahead. Knows nothing of pictures."""

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
    """``map`` in threads, in order, begun only so far ahead of the reader that a long list makes no long queue.

    An exception comes where its result would have come. Leaving early drops what has not begun and waits for what has.

    Args:
        function: Safe to call from several threads.
        items: Read by the reader's thread, no further than needed.
        workers: Number of threads.
        spare: Number of results that may wait beside one for each thread. More keep all threads busy where single items
            take much longer than others, and each may hold its memory.
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
    """Lists of ``size`` items, the last one perhaps shorter."""
    waiting = iter(items)
    while batch := list(islice(waiting, size)):
        yield batch


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``map`` in order on all cores of this process, for results that are small beside the work."""
    workers = count_cores()
    return prefetch(function, items, workers=workers, spare=_SPARE * workers)
