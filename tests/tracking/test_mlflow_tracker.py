"""Runs in an SQLite store, as MLflow itself reads them."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("mlflow", reason="needs the extra mlflow")
pytest.importorskip("sqlalchemy", reason="needs the extra mlflow")
from dermtl.tracking.mlflow import MLflow
from dermtl.tracking.trackers import Trackers

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # MLflow's own, of its database library
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SETTINGS = {
    "name": "demo",
    "training": {"stages": [{"lr": 1e-3}], "betas": []},
    "data": {"root": "x" * 7000},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of runs that share a store; making one takes a second or two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield tmp_path_factory.mktemp("tracked")


def begun(folder, settings=SETTINGS):
    folder.mkdir(exist_ok=True)
    tracker = MLflow()
    tracker.begin(folder, "demo", settings)
    return tracker


def stored(folder):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder.parent / 'mlruns.db'}")
    run = client.get_run(json.loads((folder / "mlflow.json").read_text())["run_id"])
    return client, run


def test_telemetry_is_off():
    """In a process of its own: MLflow looks when it is imported."""
    code = (
        "from dermtl.tracking.mlflow import MLflow; MLflow(); "
        "from mlflow.telemetry import get_telemetry_client; "
        "import sys; print(get_telemetry_client(), 'torch' in sys.modules)"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "DO_NOT"))}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ["None", "False"]), done.stderr


def test_settings_figures_files_and_state_are_kept(runs, told):
    folder = runs / "whole"
    tracker = begun(folder)
    (folder / "config.yaml").write_text("name: demo\n")
    (folder / "splits.csv").write_text("image,group,split\n")
    tracker.epoch(told(1))
    tracker.epoch(told(2, **{"val.diagnosis.auroc.naevus (\u00e9, #2)": 0.5}))
    tracker.end("finished")
    client, run = stored(folder)
    assert (run.info.run_name, run.info.status) == ("whole", "FINISHED")
    assert client.get_experiment(run.info.experiment_id).name == "demo"
    assert run.data.params["training.stages.0.lr"] == "0.001"
    assert run.data.metrics["train.loss"] == 1.0
    assert "val.diagnosis.auroc.nevus" not in run.data.metrics
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "val.loss")] == [1, 2]
    assert any(name.startswith("val.diagnosis.auroc.naevus") for name in run.data.metrics)
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["config.yaml"]


def test_a_continued_run_is_the_same_run_without_a_repeated_epoch(runs, told):
    folder = runs / "continued"
    first = begun(folder)
    first.epoch(told(1))
    first.epoch(told(2))
    first.end("interrupted")
    _, run = stored(folder)
    assert run.info.status == "KILLED"
    second = begun(folder, SETTINGS | {"name": "changed"})
    assert stored(folder)[1].info.status == "RUNNING"
    second.epoch(told(2))
    second.epoch(told(3))
    second.end("failed")
    client, again = stored(folder)
    assert again.info.run_id == run.info.run_id
    assert again.info.status == "FAILED"
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "val.loss")] == [1, 2, 3]


def test_a_store_that_cannot_be_opened_harms_no_run(tmp_path, told, caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/no/such/folder/x.db")
    with Trackers({"mlflow": MLflow()}, tmp_path, "demo", {}) as trackers:
        trackers.on_epoch(told(1))
    assert len([record for record in caplog.records if record.name.startswith("dermtl")]) == 1
    assert "tracker mlflow failed (begin)" in caplog.text


def test_a_damaged_id_harms_no_run(tmp_path, told, caplog):
    (tmp_path / "mlflow.json").write_text("{")
    with Trackers({"mlflow": MLflow()}, tmp_path, "demo", {}) as trackers:
        trackers.on_epoch(told(1))
    assert "tracker mlflow failed (begin)" in caplog.text
