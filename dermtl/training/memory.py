"""Memory of the C library between the steps of a training."""

import ctypes
import sys

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_TOP_PAD = 64 << 20  # bytes by which the heap grows


def keep_freed_memory() -> None:
    """Reuse the memory that a step frees in the next one; without effect if the C library is not glibc.

    By default every large block is returned to the system as soon as it is freed, and the next step waits while the
    system maps and clears it again, page by page: a large part of a step on a CPU.

    Source: mallopt(3); benchmarks/memory.py measures the gain.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, _TOP_PAD)):
        mallopt(parameter, value)
