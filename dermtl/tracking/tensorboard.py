"""Tracker ``tensorboard``: event files in the run's folder ``tensorboard``, written without torch or TensorFlow.

``tensorboard --logdir runs`` shows them. Every start of a run adds a file, whose first epoch replaces everything from
this epoch on in earlier files, so that a continued run is one line.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermtl.tracking.history import finite_numbers


class TensorBoard:
    """Writes every number of an epoch as a scalar; the epoch is its step."""

    def __init__(self) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer import record_writer

        # The EventFileWriter of the package writes in a thread, so that a full disk shows only one call later.
        self._writer_type = record_writer.RecordWriter
        self._events, self._summaries = event_pb2, summary_pb2
        self._file = Path()
        self._fresh = True

    def begin(self, run: Path, name: str, settings: Mapping[str, Any]) -> None:
        """Add an event file."""
        folder = run / "tensorboard"
        folder.mkdir(exist_ok=True)
        # TensorBoard reads them in order of their names; a clock in the name may go back.
        numbers = (path.suffix[1:] for path in folder.glob("events.out.tfevents.*"))
        number = 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)
        self._file = folder / f"events.out.tfevents.{number:010d}"
        self._fresh = True
        self._write({"file_version": "brain.Event:2"})

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of an epoch."""
        step = int(row["epoch"])
        start = self._events.SessionLog(status=self._events.SessionLog.START)
        values = [
            self._summaries.Summary.Value(tag=name.replace(".", "/", 1), simple_value=value)
            for name, value in finite_numbers(row).items()
        ]
        scalars = {"step": step, "summary": self._summaries.Summary(value=values)}
        self._write(*([{"step": step, "session_log": start}] if self._fresh else []), scalars)
        self._fresh = False

    def end(self, state: str) -> None:
        """Do nothing: the file is closed after every epoch."""

    def _write(self, *events: Mapping[str, Any]) -> None:
        with self._file.open("ab") as file:
            for fields in events:
                event = self._events.Event(wall_time=time.time(), **fields)
                self._writer_type(file).write(event.SerializeToString())
