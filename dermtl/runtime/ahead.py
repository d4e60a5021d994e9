"""Work done ahead of who reads it, in threads, in order, and never far ahead. Knows nothing of pictures."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(function: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Iterator[Result]:
    """``map`` in threads, in order; one result more than there are threads is begun ahead of the reader.

    An exception comes where its result would have come. Leaving early drops what has not begun and waits for what has.

    Args:
        function: Safe to call from several threads.
        items: Read by the reader's thread, no further than needed.
        workers: Threads.
    """
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dermtl")
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > workers:
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
