"""Every plugin of a group, tried in a process of its own: one that hangs, or ends the process, harms nobody.

A child process lists the group and says each plugin's state as it goes. The plugin it was at when it fell silent, or
died, is at fault; another child goes on without it.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import EntryPoint
from queue import Empty, Queue
from typing import IO

from dermtl.plugins.discovery import Listing, find, resolve, rivals_of
from dermtl.plugins.installed import VARIABLE, distribution_of, version_of

LIMIT_S = 5.0
_START_S = 60.0  # for the interpreter and the lister themselves, on a busy machine
_READY = "ready"


def try_plugins(group: str, lister: str, *, limit_s: float = LIMIT_S) -> Iterator[Listing]:
    """Every installed plugin of a group with its state; never raises, and imports none here.

    Args:
        group: Its group.
        lister: Dotted name of a function that lists it in the order of :func:`~dermtl.plugins.installed.find`.
        limit_s: How long one plugin may take to import.
    """
    found = find(group)
    waiting = {f"{distribution_of(point)}:{point.name}": point for points in found.values() for point in points}
    while waiting:
        with _child(lister, list(waiting)) as child:
            while waiting and (listing := child.next(limit_s)) is not None:
                point = waiting.pop(f"{listing.distribution}:{listing.name}")
                rivals = rivals_of(point, found[point.name])
                yield replace(listing, state="conflict", reason=rivals) if listing.state == "ok" and rivals else listing
            if waiting:
                point = waiting.pop(next(iter(waiting)))
                yield _at_fault(group, point, child.reason(limit_s))


def _at_fault(group: str, point: EntryPoint, reason: str) -> Listing:
    return Listing(point.name, group, distribution_of(point), version_of(point), "", "broken", reason)


class _child:  # noqa: N801  a context, written like a function
    """A process that lists a group, and what it said."""

    def __init__(self, lister: str, names: list[str]) -> None:
        # Standard input is closed: a plugin that asks for something gets no answer.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dermtl.plugins.probe", lister],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {VARIABLE: ",".join(names), "OMP_WAIT_POLICY": "PASSIVE"},
            text=True,
        )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "_child":
        self._reader.start()
        self._line(_START_S)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def next(self, limit_s: float) -> Listing | None:
        """The next plugin's state, or None where none came in time."""
        line = self._line(limit_s)
        return Listing(**json.loads(line)) if line else None

    def reason(self, limit_s: float) -> str:
        """Why nothing came."""
        try:
            code = self._process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            return f"does not import within {limit_s:g} s"
        return f"ends the process that imports it (exit code {code})"

    def _line(self, limit_s: float) -> str:
        try:
            return self._lines.get(timeout=limit_s)
        except Empty:
            return ""

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


def _tell(lister: str, out: IO[str]) -> None:
    """The child: one line a plugin."""
    listed = resolve(lister, lister)()
    out.write(f"{_READY}\n")
    out.flush()
    for listing in listed:
        out.write(json.dumps(asdict(listing)) + "\n")
        out.flush()


if __name__ == "__main__":
    told = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what plugins print must not come between the lines
    _tell(sys.argv[1], told)
    os._exit(0)  # threads and exit handlers of plugins are not waited for
