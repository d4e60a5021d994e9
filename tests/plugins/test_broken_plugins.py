"""Broken plugins as users meet them: ``python -m dermtl`` in its own process."""

import json
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "configs" / "demo.yaml"


def test_the_list_explains_each_and_succeeds(five_broken, dermtl_process):
    done = dermtl_process("plugins", "list")
    assert (done.returncode, done.stderr) == (0, "")
    for name, words in (
        ("raises", "RuntimeError: no API key of yours"),
        ("exits", "SystemExit: 3"),
        ("absent", "No module named 'brk_absent'"),
        ("future", "needs plugin API 9.0, this dermtl has 2.0"),
        ("stranger", "expected a HeadSpec, got str"),
    ):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{name} ")]
        assert words in line
    rows = json.loads(dermtl_process("plugins", "list", "--json").stdout)
    assert {row["name"]: row["state"] for row in rows}["future"] == "incompatible"


@pytest.mark.parametrize("arguments", [["config", "show", DEMO], ["config", "schema"], ["--help"]])
def test_the_core_works_beside_five_broken_plugins(five_broken, dermtl_process, arguments):
    done = dermtl_process(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", "plugin 'raises' of raises 1.0: fails to import: RuntimeError: no API key of yours"),
        ("exits", "plugin 'exits' of exits 1.0: fails to import: SystemExit: 3"),
        ("future", "needs plugin API 9.0, this dermtl has 2.0"),
        ("not_installed", "no head named 'not_installed'"),
    ],
)
def test_using_a_broken_plugin_is_one_line(five_broken, dermtl_process, tmp_path, name, words):
    config = tmp_path / "c.yaml"
    config.write_text(DEMO.read_text().replace("type: circle", f"type: {name}"))
    done = dermtl_process("config", "show", config)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {config}:")
    assert words in line


def test_a_duplicate_is_one_line(install, spec_text, dermtl_process):
    install("rival", {"circle": "dup_rival:spec"}, {"dup_rival": spec_text("circle")})
    done = dermtl_process("config", "show", DEMO)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert "dermtl-regression 0.1.0 and rival 1.0" in line
    assert "write dermtl-regression:circle" in line


def test_the_list_imports_what_an_experiment_would(install, spec_text, dermtl_process):
    """A spec that imports says little: the config that it names may not."""
    install("half", {"half": "half_spec:spec"}, {"half_spec": spec_text("half", config="half_nope:Config")})
    done = dermtl_process("plugins", "list", "--json")
    (row,) = [row for row in json.loads(done.stdout) if row["name"] == "half"]
    assert row["state"] == "broken"
    assert "cannot import half_nope:Config: ModuleNotFoundError" in row["reason"]
