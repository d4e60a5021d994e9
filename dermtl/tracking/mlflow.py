"""Tracker ``mlflow``: settings, figures and small files of a run in an MLflow store.

The store is ``MLFLOW_TRACKING_URI``, or else an SQLite file ``mlruns.db`` beside the run, with the files in ``.mlruns``
there. The run's folder keeps the id of its MLflow run in ``mlflow.json``, and a continuation goes on with it. No table
of records is sent, only the path of the data among the settings.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermtl.files.atomic import write_atomic
from dermtl.tracking.history import figures
from dermtl.tracking.settings import dotted

_FILES = ("config.yaml", "run.json", "metrics.csv", "curves.svg", "curves.png")
_STATES = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_BATCH = 100  # as many parameters as MLflow takes at once
_EPOCH = "epoch"  # stored as a figure, too: it says how far MLflow's record of a run goes
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # logging is the command line's business
    # A server that is away must delay a run by seconds; by default MLflow tries for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class MLflow:
    """Keeps a run as an MLflow run of the experiment's name; the epoch is the step of every figure."""

    def __init__(self) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)  # before MLflow is imported, which is when it looks
        import alembic  # noqa: F401  what MLflow keeps SQLite files with, and tells the lack of too late
        import mlflow.entities
        import mlflow.tracking
        import sqlalchemy  # noqa: F401

        self._client_type, self._entities = mlflow.tracking.MlflowClient, mlflow.entities
        self._client: Any = None
        self._run = Path()
        self._id = ""
        self._last_epoch = 0

    def begin(self, run: Path, name: str, settings: Mapping[str, Any]) -> None:
        """Take up the MLflow run whose id the folder keeps, or begin one."""
        self._run = run
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        beside = run.absolute().parent
        self._client = self._client_type(tracking_uri=uri or f"sqlite:///{(beside / 'mlruns.db').as_posix()}")
        kept = run / "mlflow.json"
        if kept.is_file():
            self._id = json.loads(kept.read_text(encoding="utf-8"))["run_id"]
            self._client.update_run(self._id, status="RUNNING")
            told = self._client.get_metric_history(self._id, _EPOCH)
            self._last_epoch = max((metric.step for metric in told), default=0)
            return
        experiment = self._experiment(name, None if uri else (beside / ".mlruns").as_uri())
        self._id = self._client.create_run(experiment, run_name=run.absolute().name).info.run_id
        write_atomic(kept, json.dumps({"run_id": self._id}) + "\n")
        parameters = [self._entities.Param(_allowed(key), str(value)) for key, value in dotted(settings).items()]
        for start in range(0, len(parameters), _BATCH):
            self._client.log_batch(self._id, params=parameters[start : start + _BATCH])

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Store the figures of an epoch, once."""
        step, now_ms = int(row["epoch"]), time.time_ns() // 1_000_000
        if step <= self._last_epoch:
            return
        found = figures(row) | {_EPOCH: float(step)}
        metrics = [self._entities.Metric(_allowed(name), value, now_ms, step) for name, value in found.items()]
        self._client.log_batch(self._id, metrics=metrics)
        self._last_epoch = step

    def end(self, state: str) -> None:
        """Store the run's small files and its state."""
        for name in _FILES:
            if (self._run / name).is_file():
                self._client.log_artifact(self._id, str(self._run / name))
        self._client.set_terminated(self._id, _STATES[state])

    def _experiment(self, name: str, files: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name, artifact_location=files))
        except Exception:
            found = self._client.get_experiment_by_name(name)  # another run may have been quicker
            if found is None:
                raise
            return str(found.experiment_id)


def _allowed(name: str) -> str:
    """A name as MLflow takes it; classes may be called anything."""
    return re.sub(r"[^\w\-. :/]", "_", name)
