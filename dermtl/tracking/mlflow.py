"""Tracker ``mlflow``: settings, metrics and small files of a run in an MLflow store.

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
from dermtl.tracking.history import finite_numbers
from dermtl.tracking.settings import flatten

_FILES = ("config.yaml", "run.json", "metrics.csv", "curves.svg", "curves.png")
_STATES = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_BATCH = 100  # as many parameters as MLflow takes at once
_EPOCH = "epoch"  # also stored as a metric: the last epoch that MLflow has of a run
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # only the command line configures logging
    # A server that does not answer must delay a run by seconds; by default MLflow tries for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class MLflow:
    """Stores a run as an MLflow run under the experiment's name; the epoch is the step of every metric."""

    def __init__(self) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)  # before MLflow is imported, which reads them
        import alembic  # noqa: F401  MLflow needs it for SQLite files, and misses it too late
        import mlflow.entities
        import mlflow.tracking
        import sqlalchemy  # noqa: F401

        self._client_type, self._entities = mlflow.tracking.MlflowClient, mlflow.entities
        self._client: Any = None
        self._run = Path()
        self._id = ""
        self._last_epoch = 0

    def begin(self, run: Path, name: str, settings: Mapping[str, Any]) -> None:
        """Continue the MLflow run whose id is stored in the folder, or begin one."""
        self._run = run
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        beside = run.absolute().parent
        self._client = self._client_type(tracking_uri=uri or f"sqlite:///{(beside / 'mlruns.db').as_posix()}")
        stored = run / "mlflow.json"
        if stored.is_file():
            self._id = json.loads(stored.read_text(encoding="utf-8"))["run_id"]
            self._client.update_run(self._id, status="RUNNING")
            history = self._client.get_metric_history(self._id, _EPOCH)
            self._last_epoch = max((metric.step for metric in history), default=0)
            return
        experiment = self._experiment(name, None if uri else (beside / ".mlruns").as_uri())
        self._id = self._client.create_run(experiment, run_name=run.absolute().name).info.run_id
        write_atomic(stored, json.dumps({"run_id": self._id}) + "\n")
        parameters = [self._entities.Param(_allowed(key), str(value)) for key, value in flatten(settings).items()]
        for start in range(0, len(parameters), _BATCH):
            self._client.log_batch(self._id, params=parameters[start : start + _BATCH])

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Store the metrics of an epoch, once."""
        step, now_ms = int(row["epoch"]), time.time_ns() // 1_000_000
        if step <= self._last_epoch:
            return
        numbers = finite_numbers(row) | {_EPOCH: float(step)}
        metrics = [self._entities.Metric(_allowed(name), value, now_ms, step) for name, value in numbers.items()]
        self._client.log_batch(self._id, metrics=metrics)
        self._last_epoch = step

    def end(self, state: str) -> None:
        """Store the small files of the run and its state."""
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
    """A name with the characters that MLflow allows; names of classes may hold any."""
    return re.sub(r"[^\w\-. :/]", "_", name)
