"""Plugins imported and asked in another process, so that one that hangs or ends its process harms no other.

One process asks plugin after plugin and writes a line for each answer. A plugin that takes too long is ended with its
process, by the process's own timer; the plugins after it are asked in a new one.
"""

import faulthandler
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from tempfile import TemporaryFile
from typing import Any

from dermtl.errors import PluginContract, PluginError
from dermtl.plugins.discovery import Listing, list_plugins, pick, resolve
from dermtl.plugins.installed import distribution_of, entry_points_of, in_one_line

LIMIT_S = 5.0
_START_S = 60.0  # for the interpreter and the question itself, on a busy machine


def try_plugins(group: str, question: str, *, limit_s: float = LIMIT_S) -> Iterator[Listing]:
    """Every installed plugin of a group with its state; never raises, and imports none in this process.

    Args:
        group: Group of the entry points.
        question: Dotted name of a function that :func:`~dermtl.plugins.discovery.list_plugins` takes as ``describe``.
        limit_s: Longest time that one plugin may take, in seconds.
    """
    points = [point for rivals in entry_points_of(group).values() for point in rivals]
    answers = iter(ask_plugins(points, question, limit_s=limit_s))

    def describe(point: EntryPoint) -> Any:
        answer = next(answers)  # in the order of the points
        if isinstance(answer, PluginContract):
            raise answer
        return answer

    return list_plugins(group, describe)


def ask_plugins(points: Sequence[EntryPoint], question: str, *arguments: Any, limit_s: float = LIMIT_S) -> list[Any]:
    """Call a function on plugins in another process.

    Args:
        points: The plugins, not imported in this process.
        question: Dotted name of a function of an entry point and the arguments, which returns plain JSON types.
        arguments: Further arguments of the function, plain JSON types.
        limit_s: Longest time that one plugin may take to be imported and to answer, in seconds.

    Returns:
        For each plugin the answer, or a PluginContract if it raises, takes too long, or ends the process.
    """
    answers: list[Any] = []
    while len(answers) < len(points):
        answers += _ask(points[len(answers) :], question, arguments, limit_s)
    return answers


def _ask(points: Sequence[EntryPoint], question: str, arguments: Sequence[Any], limit_s: float) -> list[Any]:
    """The answers of one process: one for each plugin up to the first that ends it."""
    names = [(point.group, f"{distribution_of(point)}:{point.name}") for point in points]
    request = json.dumps([question, names, arguments, limit_s])
    # The process finds the plugins that are found here, wherever they were put on the path.
    path = os.pathsep.join(folder for folder in sys.path if folder)
    with TemporaryFile() as replies:  # not a pipe, whose end a process that a plugin has started could keep open
        try:
            code = subprocess.run(
                [sys.executable, "-P", "-m", "dermtl.plugins.probe", request],
                stdin=subprocess.DEVNULL,
                stdout=replies,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path, "OMP_WAIT_POLICY": "PASSIVE"},
                timeout=_START_S + limit_s * len(points),
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        replies.seek(0)
        lines = replies.read().decode().splitlines()
    answers: list[Any] = []
    for point, line in zip(points, lines, strict=False):
        if not line.startswith("{"):  # what the timer writes when it ends the process
            code = None
            break
        answers.append(_read(json.loads(line), point))
    if len(answers) < len(points):
        reason = (
            f"takes longer than {limit_s:g} s"
            if code is None
            else f"ends the process that imports it (exit code {code})"
        )
        answers.append(PluginContract(reason, where=_where(points[len(answers)])))
    return answers


def _read(reply: dict[str, Any], point: EntryPoint) -> Any:
    if "fault" in reply:
        return PluginContract(reply["fault"], where=reply["where"] or _where(point), hint=reply["hint"])
    return reply["answer"]


def _where(point: EntryPoint) -> str:
    return f"plugin {point.name!r} of {distribution_of(point)}"


def _reply(function: Any, group: str, name: str, arguments: Sequence[Any]) -> dict[str, Any]:
    """The reply of one plugin, in the process that imports it."""
    try:
        return {"answer": function(pick(group, name, "plugin"), *arguments)}
    except PluginError as error:
        return {"fault": error.message, "where": error.where, "hint": error.hint}
    except BaseException as error:  # noqa: BLE001  a plugin may fail in any way
        return {"fault": in_one_line(error), "where": "", "hint": ""}


def _serve() -> None:
    question, names, arguments, limit_s = json.loads(sys.argv[1])
    function = resolve(question, question)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what plugins print must not come between the replies
    for group, name in names:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=replies)
        reply = json.dumps(_reply(function, group, name, arguments))
        faulthandler.cancel_dump_traceback_later()
        print(reply, file=replies, flush=True)
    os._exit(0)  # without waiting for threads and exit handlers of plugins


if __name__ == "__main__":
    _serve()
