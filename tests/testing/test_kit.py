"""The kit on heads that are right: the built-in ones and fresh ones from the template, with and without pytest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dermtl.testing import HeadConformance
from dermtl.testing.run import check_head, check_names

ROOT = Path(__file__).parents[2]
BUILT_IN = ("classification", "tags", "circle", "number", "segmentation")
WITH_TREE = {
    "taxonomy": {"tree": {"benign/nevus": [], "benign/keratosis": [], "malignant/melanoma": []}, "max_class_size": 5},
    "positive": ["malignant"],
}
MYPY = ["mypy", "--strict", "--explicit-package-bases", "--follow-imports=silent"]
KINDS = ("category", "tags", "circle", "mask", "number", "own")
CHEAP = tuple(name for name in check_names() if not any(word in name for word in (
    "graph", "file", "without_torch_and_plugin", "decoding", "missing_is", "trains", "workers", "resume", "overfits",
    "spec_imports", "need_no_torch")))  # fmt: skip


def fails(findings):
    return {finding.check: finding.reason for finding in findings if finding.state != "ok"}


@pytest.mark.parametrize("head", ["classification", "circle"])
def test_built_in_heads_pass_what_needs_no_run(head, drawn_once):
    assert not fails(check_head(head, only=CHEAP))


@pytest.mark.slow
@pytest.mark.parametrize("head", BUILT_IN)
def test_built_in_heads_pass_everything(head, drawn_once):
    assert not fails(check_head(head))


def test_a_head_with_a_tree_of_classes_passes_what_needs_no_run(drawn_once):
    assert not fails(check_head("classification", only=CHEAP, config=WITH_TREE))


@pytest.mark.parametrize("kind", ["own"])
def test_a_fresh_head_passes_what_needs_no_run(kind, make_head, drawn_once):
    assert not fails(check_head(make_head("zq", kind), only=CHEAP))


@pytest.mark.release
@pytest.mark.parametrize("kind", ["category", "mask", "own"])  # circle: test_afternoon.py; others are like category
def test_a_fresh_head_passes_everything(kind, make_head, drawn_once):
    assert not fails(check_head(make_head("zq", kind)))


@pytest.mark.release
@pytest.mark.parametrize(
    ("head", "config"),
    [
        ("circle", {"stride": 4}),
        ("segmentation", {"decoder": "fpn"}),
        ("classification", {"loss": "focal", "class_weights": "auto"}),
        ("classification", WITH_TREE),
    ],
)
def test_other_modes_of_the_built_in_heads_pass(head, config, drawn_once):
    assert not fails(check_head(head, config=config))


def test_every_check_is_a_test_and_says_what_it_wants():
    names = check_names()
    assert len(names) >= 40
    for name in names:
        assert getattr(HeadConformance, f"test_{name}").__doc__.strip().endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edits", "code"),
    [({}, 0), ({"config": ("    x: str", '    model_config = {"extra": "ignore"}\n    x: str')}, 1)],
    ids=["right", "wrong"],
)
def test_pytest_runs_the_class_as_it_is(edits, code, make_head, tmp_path):
    """A subclass in a plugin's own tests; the cheap checks stand for all."""
    make_head("zq", "own", edits)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-k", "config or spec_is"]
    done = subprocess.run(command, cwd=tmp_path / "zq", capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("the config takes a key that it does not know" in done.stdout) is bool(code)


def test_a_skip_needs_a_reason(monkeypatch):
    from unittest import SkipTest

    def left_out(self):
        raise SkipTest

    monkeypatch.setattr(HeadConformance, "test_spec_is_complete", left_out)
    (finding,) = check_head("circle", only=("spec_is_complete",))
    assert (finding.state, finding.reason) == ("failed", "is skipped without a reason")


def test_a_check_that_is_left_out_counts_and_fails_strict(monkeypatch):
    from unittest import SkipTest

    from click.testing import CliRunner

    from dermtl.cli import dermtl

    def left_out(self):
        raise SkipTest("no scanner here")

    monkeypatch.setattr("dermtl.testing.run.check_names", lambda: ["spec_is_complete", "config_has_a_schema"])
    monkeypatch.setattr(HeadConformance, "test_config_has_a_schema", left_out)
    done = CliRunner().invoke(dermtl, ["plugins", "check", "circle"])
    assert (done.exit_code, "circle: 1 of 2 checks ran, 0 failed" in done.output) == (0, True), done.output
    assert "no scanner here" in done.output
    done = CliRunner().invoke(dermtl, ["plugins", "check", "circle", "--strict", "--json"])
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert (told["ran"], told["checks"], told["failed"]) == (1, 2, 0)


def test_a_head_that_fails_ends_with_1(make_head, drawn_once, monkeypatch):
    from click.testing import CliRunner

    from dermtl.cli import dermtl

    make_head("zq", "circle", {"config": ("    cx: str", '    model_config = {"extra": "ignore"}\n    cx: str')})
    monkeypatch.setattr("dermtl.testing.run.check_names", lambda: ["spec_is_complete", "config_refuses_unknown_keys"])
    done = CliRunner().invoke(dermtl, ["plugins", "check", "zq"])
    assert done.exit_code == 1
    assert "failed   config refuses unknown keys: the config takes a key that it does not know" in done.output


@pytest.mark.slow
def test_what_is_rendered_is_clean(tmp_path):
    """One run of each tool over the heads of all kinds: most of the time goes into the core that they import."""
    from dermtl.plugins.scaffold import render

    for kind in KINDS:
        render(f"freckle_{kind}", kind, tmp_path / kind)
    packages = [f"{kind}/dermtl_freckle_{kind}" for kind in KINDS]
    environment = os.environ | {"MYPYPATH": os.pathsep.join([str(ROOT), *(str(tmp_path / kind) for kind in KINDS)])}
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], [*MYPY, *packages]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
