"""A process in which plugins are imported and asked something: one that hangs, or ends it, harms nobody.

The process is told one plugin at a time and writes down what that one answers. Where nothing comes in time, or the
process ends, the plugin is at fault, and the next one is asked in a new process.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint
from queue import Empty, Queue
from typing import IO, Any, Self

from dermtl.errors import PluginContract, PluginError
from dermtl.plugins.discovery import Listing, list_plugins, pick, resolve
from dermtl.plugins.installed import distribution_of, in_one_line

LIMIT_S = 5.0
_START_S = 60.0  # for the interpreter and the question itself, on a busy machine
_READY = "ready"


def try_plugins(group: str, question: str, *, limit_s: float = LIMIT_S) -> Iterator[Listing]:
    """Every installed plugin of a group with its state; never raises, and imports none here.

    Args:
        group: Its group.
        question: Dotted name of what :func:`~dermtl.plugins.discovery.list_plugins` takes as ``tell``.
        limit_s: How long one plugin may take.
    """
    with Probe(question, limit_s=limit_s) as probe:
        yield from list_plugins(group, probe.ask)


class Probe:
    """One question that is put to plugins; a context, which ends its process.

    Args:
        question: Dotted name of a function of an entry point, and of what else is given, to plain JSON types.
        limit_s: How long one plugin may take to import and to answer.
    """

    def __init__(self, question: str, *, limit_s: float = LIMIT_S) -> None:
        self._question = question
        self._limit_s = limit_s
        self._process: subprocess.Popen[str] | None = None
        self._lines: Queue[str] = Queue()
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def ask(self, point: EntryPoint, *arguments: Any) -> Any:
        """What a plugin answers.

        Args:
            point: The plugin, not imported here.
            arguments: Plain JSON types that the question takes, too.

        Raises:
            PluginContract: It does not answer in time, ends the process, or is at fault otherwise.
        """
        process = self._process or self._start()
        where = f"plugin {point.name!r} of {distribution_of(point)}"
        assert process.stdin is not None
        try:
            named = f"{distribution_of(point)}:{point.name}"
            process.stdin.write(json.dumps([point.group, named, *arguments]) + "\n")
            process.stdin.flush()
            line = self._line(self._limit_s)
        except OSError:
            line = ""
        if not line:
            reason = self._reason(process)
            self._end()
            raise PluginContract(reason, where=where)
        answer = json.loads(line)
        if "fault" in answer:
            raise PluginContract(answer["fault"], where=answer["where"] or where, hint=answer["hint"])
        return answer["answer"]

    def _start(self) -> "subprocess.Popen[str]":
        # It sees the plugins that are seen here, wherever they were put on the path.
        path = os.pathsep.join(place for place in sys.path if place)
        self._lines = Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dermtl.plugins.probe", self._question],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path, "OMP_WAIT_POLICY": "PASSIVE"},
            text=True,
        )
        self._reader = threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True)
        self._reader.start()
        self._line(_START_S)
        return self._process

    def _reason(self, process: "subprocess.Popen[str]") -> str:
        """Why nothing came."""
        try:
            code = process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            return f"takes longer than {self._limit_s:g} s"
        return f"ends the process that imports it (exit code {code})"

    def _line(self, limit_s: float) -> str:
        try:
            return self._lines.get(timeout=limit_s)
        except Empty:
            return ""

    def _end(self) -> None:
        if self._process is None or self._reader is None:
            return
        self._process.kill()
        self._process.wait()
        self._reader.join(timeout=1)  # a process that the plugin has started may hold the other end
        for stream in (self._process.stdin, None if self._reader.is_alive() else self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._process = None


def _read(stream: IO[str], lines: "Queue[str]") -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _serve(question: str, asked: IO[str], told: IO[str]) -> None:
    """The process: a line for the question, then one a plugin."""
    answer = resolve(question, question)
    print(_READY, file=told, flush=True)
    for line in asked:
        group, name, *arguments = json.loads(line)
        print(json.dumps(_answer(answer, group, name, arguments)), file=told, flush=True)


def _answer(answer: Any, group: str, name: str, arguments: Sequence[Any]) -> dict[str, Any]:
    try:
        return {"answer": answer(pick(group, name, "plugin"), *arguments)}
    except PluginError as error:
        return {"fault": error.message, "where": error.where, "hint": error.hint}
    except BaseException as error:  # noqa: BLE001  a plugin may fail in any way
        return {"fault": in_one_line(error), "where": "", "hint": ""}


if __name__ == "__main__":
    # What plugins print must not come between the lines, and one that asks for something gets no answer.
    channels = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY)):
        os.dup2(os.open(os.devnull, mode), number)
    _serve(sys.argv[1], *channels)
    os._exit(0)  # threads and exit handlers of plugins are not waited for
