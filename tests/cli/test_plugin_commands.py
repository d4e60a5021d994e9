"""Commands of plugins: listed without being imported, run when named, harmless when broken."""

import os
import sys

import pytest

GOOD = """
import click
@click.command()
@click.argument("name")
def greet(name):
    "Greet somebody."
    click.echo(f"hello {name}")
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Install modules as commands of a throw-away distribution each."""

    def put(name, text):
        folder = tmp_path / name
        info = folder / f"cmd_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cmd-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[dermtl.commands]\n{name} = cmd_{name}:greet\n")
        (folder / f"cmd_{name}.py").write_text(text)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)

    return put


def test_a_command_runs_and_help_imports_none(commands, call):
    commands("greet", GOOD)
    commands("fails", "raise RuntimeError('imported')")
    shown = call("--help")
    assert (shown.code, "Commands of plugins:" in shown.out) == (0, True)
    assert "Brought by cmd-greet." in shown.out
    assert "cmd_greet" not in sys.modules
    assert call("greet", "you").out == "hello you\n"
    assert "Greet somebody." in call("greet", "--help").out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise RuntimeError('torn\\napart')", "fails to import: RuntimeError: torn apart"),
        ("import sys; sys.exit(3)", "fails to import: SystemExit: 3"),
        ("greet = 'no command'", "expected a click command, got str"),
    ],
)
def test_a_broken_command_is_one_line(commands, call, text, words):
    commands("odd", text)
    done = call("odd")
    (line,) = done.err.splitlines()
    assert done.code == 2
    assert words in line
    assert "command 'odd' of cmd-odd" in line


def test_no_plugin_takes_the_place_of_the_cores_own(commands, call):
    commands("train", GOOD)
    assert "Commands of plugins:" not in call("--help").out
    assert "Train a backbone" in call("train", "--help").out
    (row,) = [line for line in call("plugins", "list").out.splitlines() if "cmd-train" in line]
    assert "broken" in row
    assert "the core has a command of this name" in row


def test_two_commands_of_one_name_conflict(commands, call, tmp_path, monkeypatch):
    commands("greet", GOOD)
    info = tmp_path / "rival" / "rival-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dermtl.commands]\ngreet = cmd_greet:greet\n")
    monkeypatch.syspath_prepend(tmp_path / "rival")
    done = call("greet", "you")
    assert done.code == 2
    assert "cmd-greet 1.0 and rival 1.0" in done.err
