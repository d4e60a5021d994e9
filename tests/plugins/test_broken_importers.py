"""Importers that fail in every way there is: a source is read by the one that knows it, in spite of them all."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from dermtl.data.importers import detect
from dermtl.data.importers.ingest import import_data
from dermtl.errors import PluginContract
from dermtl.plugins.probe import ask_plugins, try_plugins

WORKS = """
class Importer:
    name, summary = "{name}", "of a test"
    def recognises(self, source):
        {recognises}
    def read(self, source):
        yield {{"image": source / "a" / "0.png", "label": "x"}}
importer = Importer()
"""
KNOWS = "return (source / '{name}.txt').is_file()"
FAULTS = {
    "raises": ("raise RuntimeError('torn\\napart')", "fails to import: RuntimeError: torn apart"),
    "exits": ("import sys; sys.exit(3)", "fails to import: SystemExit: 3"),
    "dies": ("import os; os._exit(7)", "ends the process that imports it (exit code 7)"),
    "hangs": ("import time; time.sleep(600)", "takes longer than 2 s"),
    "asks": ("input('who?')", "fails to import: EOFError"),
    "stranger": ("importer = 3", "lacks name, summary, recognises, read"),
    "empty": ("", "AttributeError"),
    "misnamed": (WORKS.format(name="other", recognises="return True"), "is named 'other'"),
    "raises_later": (WORKS.format(name="raises_later", recognises="1 / 0"), "ZeroDivisionError"),
    "exits_later": (WORKS.format(name="exits_later", recognises="raise SystemExit(4)"), "SystemExit: 4"),
    "dies_later": (WORKS.format(name="dies_later", recognises="import os; os._exit(8)"), "exit code 8"),
    "hangs_later": (
        WORKS.format(name="hangs_later", recognises="import time; time.sleep(600)"), "takes longer than 2 s"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Pictures in class folders."""
    for index, label in enumerate("aab"):
        path = tmp_path / "set" / label / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), index, np.uint8)).save(path)
    return tmp_path / "set"


@pytest.fixture
def add(install):
    """Install one importer."""

    def put(name, text):
        install(f"{name}-import", {name: f"imp_{name}:importer"}, {f"imp_{name}": text}, group="dermtl.importers")

    return put


@pytest.fixture
def all_broken(add, monkeypatch):
    """Every broken one, beside one that works."""
    for name, (text, _) in FAULTS.items():
        add(name, text)
    add("works", "print('hello')\n" + WORKS.format(name="works", recognises=KNOWS.format(name="works")))
    monkeypatch.setattr(detect, "ask_plugins", partial(ask_plugins, limit_s=2))


@pytest.mark.slow
def test_each_is_passed_over_with_its_reason(all_broken, folder, caplog):
    assert import_data(folder).format == "class_folders"
    for name, (_, words) in FAULTS.items():
        (line,) = [line for line in caplog.messages if f"importer {name} of {name}-import" in line]
        assert line.startswith("passed over")
        assert words in line
    caplog.clear()
    (folder / "works.txt").touch()
    assert import_data(folder).format == "works"


@pytest.mark.slow
def test_each_is_listed_and_the_cores_own_beside_them(all_broken):
    question = "dermtl.data.importers.detect:describe_importer"
    listed = {listing.name: listing for listing in try_plugins("dermtl.importers", question, limit_s=2)}
    for name, (_, words) in FAULTS.items():
        later = name.endswith("_later")
        assert (listed[name].state, words in listed[name].reason) == ("ok", False) if later else ("broken", True)
    assert {listed[name].state for name in ("class_folders", "table", "works")} == {"ok"}


def test_one_that_hangs_holds_nobody_up(add, folder, monkeypatch, caplog):
    monkeypatch.setattr(detect, "ask_plugins", partial(ask_plugins, limit_s=1))
    add("hangs", FAULTS["hangs"][0])
    assert import_data(folder).format == "class_folders"
    assert "importer hangs of hangs-import: takes longer than 1 s" in caplog.text


def test_the_cores_own_need_no_other_process(folder, monkeypatch):
    monkeypatch.setattr("dermtl.plugins.probe.subprocess.run", None)
    assert import_data(folder).format == "class_folders"


def test_a_broken_one_that_is_named_is_one_line(add, folder, monkeypatch):
    add("exits", FAULTS["exits"][0])
    with pytest.raises(PluginContract, match="importer 'exits' of exits-import: fails to import: SystemExit: 3"):
        import_data(folder, name="exits")


@pytest.mark.parametrize(("fault", "words"), [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(5)", "SystemExit: 5")])
def test_one_that_fails_while_it_reads_is_one_line(add, folder, fault, words):
    add("late", WORKS.format(name="late", recognises="return True").replace("yield {", f"{fault}; yield {{"))
    with pytest.raises(PluginContract, match=rf"importer 'late' of late-import: fails while it reads .*: {words}"):
        import_data(folder)
    assert not (folder / "manifest.csv").exists()
