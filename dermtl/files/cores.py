"""The number of cores that this process may use, which a container or its affinity may limit."""

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def count_cores() -> int:
    """The number of cores of this process, at least 1.

    ``os.cpu_count`` and ONNX Runtime count the whole machine: a container with 2 of 64 cores would get 64 threads.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota() -> int:
    """The quota of the control group, rounded up; a large number if there is none."""
    try:
        allowed, period = _QUOTA.read_text(encoding="ascii").split()
        return math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):  # "max 100000", or no such file
        return 2**20
