"""How many cores this process may use: fewer than the machine has where a container or its affinity says so."""

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def count_cores() -> int:
    """Cores for this process, at least 1.

    ONNX Runtime and ``os.cpu_count`` see the whole machine, and a container with two of its 64 cores would be given
    64 threads.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota() -> int:
    """What the control group allows, rounded up; a large number where it says nothing."""
    try:
        allowed, period = _QUOTA.read_text(encoding="ascii").split()
        return math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):  # "max 100000", or no such file
        return 2**20
