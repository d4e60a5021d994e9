"""How the C library keeps memory between the steps of a training."""

import ctypes
import sys

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_TOP_PAD = 64 << 20  # bytes that the heap grows by


def keep_freed_memory() -> None:
    """Let the process keep what a step frees for the next one; nothing, where the C library is not glibc.

    By default every large block goes back to the system as soon as it is freed, and the next step pays for having it
    mapped and cleared again, page by page: a large part of a step on a CPU.

    Source: mallopt(3); what it gains is measured by benchmarks/memory.py.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, _TOP_PAD)):
        mallopt(parameter, value)
