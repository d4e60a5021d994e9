"""Every command explains itself with an example, and refuses what it does not know."""

import re

import click
import pytest

from dermtl.cli import dermtl


def commands(group, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = list(commands(dermtl))
LEAVES = [path for path in ALL if not any(other[: len(path)] == path and other != path for other in ALL)]


def test_the_fixed_names_are_there():
    assert {("train",), ("evaluate",), ("export",), ("verify",), ("predict",)} <= set(LEAVES)
    assert {("data", "synth"), ("data", "split"), ("plugins", "list"), ("config", "schema"), ("config", "show")} <= set(
        LEAVES
    )


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_exits_with_0(call, path):
    done = call(*path, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: ")


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_holds_an_example_of_this_command(call, path):
    shown = call(*path, "--help").out
    assert re.search(rf"Example:\n\s+dermtl {' '.join(path)}\b", shown), shown


def test_the_summary_of_a_command_is_its_own(call):
    """The list of commands is written by hand, so that help imports none."""
    shown = call("--help").out
    for (name,) in [path for path in ALL if len(path) == 1]:
        own = dermtl.get_command(click.Context(dermtl), name).get_short_help_str(limit=200)
        (line,) = re.findall(rf"^  {name} +(.*)$", shown, flags=re.MULTILINE)
        assert own.split()[0] == line.split()[0], f"{name}: {own!r} and {line!r}"


@pytest.mark.parametrize(
    "arguments",
    [["tran"], ["train"], ["train", "a.yaml", "--runn", "x"], ["data", "synth", "x", "--num", "0"],
     ["predict", "m.onnx"], ["predict", "m.onnx", "a.jpg", "--shard", "3/2"]],
)  # fmt: skip
def test_wrong_usage_exits_with_2(call, arguments):
    done = call(*arguments)
    assert done.code == 2
    assert "Error: " in done.err
    assert "Traceback" not in done.err


def test_the_version(call):
    import dermtl as package

    assert call("--version").out.strip().endswith(package.__version__)
