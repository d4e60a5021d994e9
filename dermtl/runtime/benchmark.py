"""Timing of contenders side by side: every round measures each once, so that a busy machine slows all alike."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from dermtl.errors import BundleError
from dermtl.runtime.contender import Contender

BATCHES = (1, 8, 32)
# Not getrusage, which also counts the process before exec.
_MEMORY = "; print(next((line.split()[1] for line in open('/proc/self/status') if line[:6] == 'VmHWM:'), 0))"


@dataclass(frozen=True)
class Timing:
    """Measurements of one contender: wall-clock times, medians over all rounds.

    Attributes:
        name: Name of the contender.
        file_mb: Size of its file; None if it has no file.
        cold_start_s: Time of a fresh Python process from its start to the prediction of one picture.
        memory_mb: Peak memory of this process; 0 if the system does not report it.
        latency_p50_ms: Median time of one file, from decoding to the prediction.
        latency_p95_ms: 95th percentile of this time.
        decode_ms: Median time of decoding and letterboxing.
        model_ms: Median time of the network and of restoring its outputs.
        images_s: Batch size to pictures per second through the network, without decoding.
        cpu_ms: CPU time of one picture at batch size 8 over all cores, without decoding.
    """

    name: str
    file_mb: float | None
    cold_start_s: float | None
    memory_mb: float | None
    latency_p50_ms: float
    latency_p95_ms: float
    decode_ms: float
    model_ms: float
    images_s: dict[int, float]
    cpu_ms: float


def benchmark(contenders: Sequence[Contender], files: Sequence[Path], *, rounds: int = 5) -> list[Timing]:
    """Time contenders on the same files.

    Args:
        contenders: At least one.
        files: Pictures; repeated if they are fewer than a batch.
        rounds: Number of rounds.

    Raises:
        ImageReadError: A file cannot be decoded.
        BundleError: A contender cannot be run.
    """
    clocks = [_Clock(contender, files) for contender in contenders]
    for clock in clocks:
        clock.warm_up()
    for _ in range(rounds):
        for clock in clocks:
            clock.measure()
    return [clock.timing() for clock in clocks]


class _Clock:
    """Collects the times of one contender."""

    def __init__(self, contender: Contender, files: Sequence[Path]) -> None:
        self._contender = contender
        self._files = list(islice(cycle(files), max(8, min(len(files), 32))))
        self._ready = [contender.prepare(file) for file in islice(cycle(files), max(BATCHES))]
        self._decode: list[float] = []
        self._model: list[float] = []
        self._cpu: list[float] = []
        self._rates: dict[int, list[float]] = {batch: [] for batch in BATCHES}
        self._cold: list[tuple[float, float]] = []

    def warm_up(self) -> None:
        for batch in BATCHES:
            self._contender.run(self._ready[:batch])

    def measure(self) -> None:
        contender = self._contender
        for file in self._files:
            start = time.perf_counter()
            ready = contender.prepare(file)
            between = time.perf_counter()
            contender.run([ready])
            self._decode.append(between - start)
            self._model.append(time.perf_counter() - between)
        for batch in BATCHES:
            seconds, cpu = _timed(lambda batch=batch: contender.run(self._ready[:batch]))  # type: ignore[misc]
            self._rates[batch].append(batch / seconds)
            if batch == 8:
                self._cpu.append(cpu / batch)
        if contender.code:
            self._cold.append(_cold_start(contender, self._files[0]))

    def timing(self) -> Timing:
        decode, model = np.array(self._decode), np.array(self._model)
        file, cold = self._contender.file, np.median(self._cold, axis=0) if self._cold else None
        return Timing(
            self._contender.name,
            None if file is None else file.stat().st_size / 1e6,
            None if cold is None else float(cold[0]),
            None if cold is None else float(cold[1]),
            float(np.median(decode + model)) * 1000,
            float(np.percentile(decode + model, 95)) * 1000,
            float(np.median(decode)) * 1000,
            float(np.median(model)) * 1000,
            {batch: float(np.median(rates)) for batch, rates in self._rates.items()},
            float(np.median(self._cpu)) * 1000,
        )


def _timed(job: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and CPU seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - start, time.process_time() - cpu


def _cold_start(contender: Contender, file: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of a fresh process that predicts one picture."""
    start = time.perf_counter()
    command = [sys.executable, "-c", contender.code + (_MEMORY if sys.platform == "linux" else "; print(0)"), str(file)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BundleError(f"a fresh process failed: {last}", where=contender.name, hint="try dermtl predict on it")
    return time.perf_counter() - start, float(done.stdout.split()[-1]) / 1e3
