"""Plugins that hang or end the process are listed as such, and the core goes on."""

import json
import time

import pytest

from dermtl.plugins.probe import try_plugins

HEADS = ("dermtl.heads", "dermtl.plugins.discovery:describe_head")
BUILT_IN = {"classification", "tags", "circle", "number", "segmentation"}


@pytest.fixture
def two_deadly(install, spec_text):
    """Between two that work, one that hangs and one that ends the process."""
    install("a-heads", {"a_good": "prb_a:spec"}, {"prb_a": spec_text("a_good")})
    install("b-heads", {"b_hangs": "prb_b:spec"}, {"prb_b": "import time; print('working'); time.sleep(600)"})
    install("c-heads", {"c_dies": "prb_c:spec"}, {"prb_c": "import os; os._exit(7)"})
    install("d-heads", {"d_good": "prb_d:spec"}, {"prb_d": "print('hello')\n" + spec_text("d_good")})


def test_what_hangs_or_dies_is_named_and_the_rest_is_tried(two_deadly):
    begun = time.monotonic()
    listed = {listing.name: listing for listing in try_plugins(*HEADS, limit_s=3)}
    assert time.monotonic() - begun < 60
    assert {name: listed[name].state for name in ("a_good", "b_hangs", "c_dies", "d_good")} == {
        "a_good": "ok",
        "b_hangs": "broken",
        "c_dies": "broken",
        "d_good": "ok",
    }
    assert listed["b_hangs"].reason == "takes longer than 3 s"
    assert listed["c_dies"].reason == "ends the process that imports it (exit code 7)"
    assert {listed[name].state for name in BUILT_IN} == {"ok"}


@pytest.mark.slow
def test_the_core_works_beside_them(two_deadly, five_broken, dermtl_process):
    done = dermtl_process("plugins", "list", "--json")
    assert done.returncode == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert "takes longer than 5 s" in rows["b_hangs"]["reason"]
    assert {row["group"] for row in rows.values()} >= {"dermtl.heads", "dermtl.importers", "dermtl.trackers"}
    for arguments in (["--help"], ["config", "schema"]):
        done = dermtl_process(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_a_conflict_is_one_though_a_rival_hangs(install, spec_text):
    install("one-heads", {"depth": "prb_one:spec"}, {"prb_one": spec_text("depth")})
    install("two-heads", {"depth": "prb_two:spec"}, {"prb_two": "import time; time.sleep(600)"})
    listed = {listing.distribution: listing for listing in try_plugins(*HEADS, limit_s=3)}
    assert listed["one-heads"].state == "conflict"
    assert "two-heads; write one-heads:depth" in listed["one-heads"].reason
    assert listed["two-heads"].state == "broken"


def test_one_that_holds_the_interpreter_or_leaves_a_process_behind_holds_nobody_up(install, spec_text):
    leaves = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'])\n"
    install("a-heads", {"a_leaves": "prb_leaves:spec"}, {"prb_leaves": leaves + spec_text("a_leaves")})
    install("b-heads", {"b_holds": "prb_holds:spec"}, {"prb_holds": "import re; re.match('(a+)+b', 'a' * 60)"})
    begun = time.monotonic()
    listed = {listing.name: listing for listing in try_plugins(*HEADS, limit_s=3)}
    assert time.monotonic() - begun < 60
    assert listed["a_leaves"].state == "ok"
    assert listed["b_holds"].reason == "takes longer than 3 s"
    assert {listed[name].state for name in BUILT_IN} == {"ok"}


def test_nothing_installed_lists_nothing():
    assert not list(try_plugins("dermtl.no_such_group", HEADS[1]))
