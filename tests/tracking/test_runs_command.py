"""``dermtl runs`` over whole, bare, damaged and foreign folders."""

import json
import shutil
import sys

import pytest

from dermtl.cli import main


@pytest.fixture
def call(capsys, monkeypatch):
    """``dermtl runs ARGUMENTS``: exit code, output, errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dermtl", "runs", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return run


def listed(call, folder):
    code, out, err = call("list", folder, "--json")
    assert (code, err) == (0, "")
    return {run["run"].rpartition("/")[2]: run for run in json.loads(out)}


def test_the_list_tells_what_each_run_reached(call, run_folder, tmp_path):
    run_folder("evaluated", test=0.7)
    run_folder("trained")
    runs = listed(call, tmp_path / "runs")
    run = runs["evaluated"]
    assert (run["name"], run["state"], run["epochs"], run["seconds"]) == ("evaluated", "finished", 3, 4.5)
    assert (run["best_epoch"], run["best_val_loss"], run["final_val_loss"]) == (2, 1.0, 2.0)
    assert run["primary"] == {"diagnosis": "balanced_accuracy"}
    assert run["val"] == {"diagnosis": 0.1}
    assert run["test"]["diagnosis"]["balanced_accuracy"] == {"value": 0.7, "low": 0.6, "high": 0.8, "n": 20} | {
        "low": pytest.approx(0.6),
        "high": pytest.approx(0.8),
    }
    assert run["started"].startswith("2026-01-02")
    assert (runs["trained"]["test"], runs["trained"]["primary"]) == ({}, run["primary"])  # as the plugin says
    code, out, _ = call("list", tmp_path / "runs")
    header, first, second, *_ = out.splitlines()
    assert code == 0
    assert "diagnosis 0.1 " in first
    assert "diagnosis 0.7 " in first
    assert header.index("test") == second.index("-", header.index("test"))
    assert "metrics: diagnosis balanced_accuracy" in out


def test_without_its_plugin_a_head_shows_its_first_metric(call, run_folder, tmp_path):
    config = run_folder("foreign") / "config.yaml"
    config.write_text(config.read_text().replace("dermtl-classification:classification", "nobody:knows"))
    assert listed(call, tmp_path / "runs")["foreign"]["primary"] == {"diagnosis": "accuracy"}


def test_a_run_that_has_just_begun_is_no_damaged_one(call, run_folder, tmp_path):
    (run_folder("young") / "metrics.csv").unlink()
    run = listed(call, tmp_path / "runs")["young"]
    assert (run["state"], run["epochs"], run["best_val_loss"], run["problems"]) == ("finished", 0, None, [])


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("run.json", "{", "run.json: Invalid JSON"),
        ("run.json", "[]", "run.json: Input should be"),
        ("run.json", '{"name": "x", "state": 3}', "run.json: state: Input should be a valid string"),
        ("run.json", None, "run.json: is missing"),
        ("config.yaml", "a: [", "config.yaml: "),
        ("config.yaml", "- 1", "config.yaml: "),
        ("config.yaml", b"\xff\xfe\x00", "config.yaml: "),
        ("config.yaml", None, "config.yaml: "),
        ("metrics.csv", "epoch\none\n", "expected a number, got 'one'"),
        ("metrics.csv", b"epoch\n\x00\n", "metrics.csv: "),
        ("evaluation/test/metrics.json", '{"heads": {"diagnosis": 3}}', "metrics.json: heads.diagnosis: "),
        ("evaluation/test/metrics.json", "", "metrics.json: "),
    ],
)
def test_a_damaged_run_is_listed_as_such_beside_the_others(call, run_folder, tmp_path, file, text, words):
    run_folder("whole", test=0.7)
    path = run_folder("damaged", test=0.5) / file
    path.unlink()
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    runs = listed(call, tmp_path / "runs")
    assert (runs["whole"]["state"], runs["damaged"]["state"]) == ("finished", "damaged")
    (problem,) = runs["damaged"]["problems"]
    assert words in problem
    assert "\n" not in problem
    code, out, _ = call("compare", tmp_path / "runs/whole", tmp_path / "runs/damaged")
    assert code == 1
    assert words in out


def test_other_folders_are_no_runs(call, run_folder, tmp_path):
    run_folder("whole")
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / ".mlruns").mkdir()
    (tmp_path / "runs" / "mlruns.db").touch()
    runs = listed(call, tmp_path / "runs")
    assert {name: run["state"] for name, run in runs.items()} == {"notes": "no run", "whole": "finished"}
    shutil.rmtree(tmp_path / "runs")
    code, out, err = call("list", tmp_path / "runs")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path / 'runs'}: cannot be listed")


def test_comparing_shows_what_differs_and_the_intervals(call, run_folder):
    slow, fast = run_folder("slow", lr=1e-4, test=0.7), run_folder("fast", lr=1e-2)
    code, out, _ = call("compare", slow, fast)
    rows = {line[:40].split("  ")[0]: line.split() for line in out.splitlines() if line}
    assert code == 0
    assert rows["training.stages.0.lr"][1:] == ["0.0001", "0.01"]
    assert rows["name"][1:] == ["slow", "fast"]
    assert "training.stages.0.epochs" not in out
    assert "0.7 [0.6, 0.8]" in out
    assert rows["test diagnosis accuracy"][-2:] == ["-", "-"]  # not estimable, and not evaluated
    assert rows["val diagnosis balanced_accuracy"][-2:] == ["0.1", "0.1"]
    assert "auroc.nevus" not in out
    document = json.loads(call("compare", slow, fast, "--json")[1])
    assert document["differing"]["training.stages.0.lr"] == [0.0001, 0.01]
    assert document["runs"][0]["test"]["diagnosis"]["auroc.nevus"]["value"] == 0.7


def test_comparing_a_run_with_itself(call, run_folder):
    folder = run_folder("one", test=0.7)
    code, out, _ = call("compare", folder, folder)
    assert code == 0
    assert out.startswith("no setting differs\n")


def test_nothing_is_written(call, run_folder, tmp_path):
    folder = run_folder("one", test=0.7)
    before = sorted(tmp_path.rglob("*"))
    call("list", tmp_path / "runs")
    call("compare", folder, folder)
    assert sorted(tmp_path.rglob("*")) == before
