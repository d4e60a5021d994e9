"""Summaries of runs from their folders: run.json, config.yaml, metrics.csv and evaluation/test/metrics.json.

A folder that is no run, or a damaged one, gives a summary with this state. Nothing is written, no weights are read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dermtl.config.source import read_stored
from dermtl.errors import DermtlError, InputError, PluginError
from dermtl.plugins.discovery import load_head, resolve
from dermtl.statistics.finite import finite_or_none
from dermtl.tracking.history import Row, best_row, head_metrics, heads_of, read_history
from dermtl.tracking.settings import flatten

Found = TypeVar("Found")


class Estimate(BaseModel):
    """A metric on the test records; None is not estimable."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None


class _Facts(BaseModel):
    """The facts of run.json that are shown."""

    name: str
    state: str
    started: str = ""


class _Evaluation(BaseModel):
    """The parts of metrics.json that are shown."""

    heads: dict[str, dict[str, Estimate]]
    primary: dict[str, str] = {}


@dataclass(frozen=True)
class RunSummary:
    """Summary of one folder.

    Attributes:
        path: The folder.
        name: Name of the experiment.
        state: State in run.json, such as finished; else ``damaged`` or ``no run``. A killed run has the state running.
        problems: Files that could not be read, with the reasons, one line each.
        started: Time of the start; empty if the run did not store it.
        epochs: Number of finished epochs.
        seconds: Time of all epochs.
        best_epoch: The epoch of the best weights, or the last if nothing was validated.
        best_val_loss: Validation loss of this epoch.
        final_val_loss: Validation loss of the last epoch.
        primary: Head to the name of its primary metric.
        val: Head to its primary metric on validation after the best epoch; None is not estimable.
        test: Head to metric to value; empty if the run was not evaluated on its test records.
        settings: Dotted key to value of config.yaml.
    """

    path: Path
    name: str = ""
    state: str = "no run"
    problems: Sequence[str] = ()
    started: str = ""
    epochs: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_val_loss: float | None = None
    final_val_loss: float | None = None
    primary: Mapping[str, str] = field(default_factory=dict)
    val: Mapping[str, float | None] = field(default_factory=dict)
    test: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def list_runs(folder: Path) -> list[RunSummary]:
    """Summaries of the folders directly in a folder, by name, without hidden ones.

    Raises:
        InputError: There is no such folder, or it cannot be read.
    """
    try:
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot be listed: {error.strerror}", where=str(folder)) from error
    return [read_summary(path) for path in inner]


def read_summary(path: Path) -> RunSummary:
    """The summary of one folder; never fails, whatever the folder holds."""
    if not (path / "config.yaml").exists() and not (path / "run.json").exists():
        return RunSummary(path, problems=["holds neither config.yaml nor run.json"])
    problems: list[str] = []

    def read(name: str, reader: Callable[[Path], Found], missing: Found) -> Found:
        try:
            return reader(path / name)
        except FileNotFoundError:
            problems.append(f"{name}: is missing")
        except (DermtlError, ValidationError, OSError) as error:
            problems.append(f"{name}: {_in_one_line(error)}")
        return missing

    facts = read("run.json", lambda file: _Facts.model_validate_json(file.read_bytes()), _Facts(name="", state=""))
    nothing: dict[str, Any] = {}
    experiment = read("config.yaml", lambda file: read_stored(file).data, nothing)
    rows: Sequence[Row] = []
    if (path / "metrics.csv").exists():  # a run in its first epoch has none
        rows = read("metrics.csv", read_history, [])
    evaluation = _Evaluation(heads={})
    if (path / "evaluation/test/metrics.json").exists():
        evaluation = read(
            "evaluation/test/metrics.json",
            lambda file: _Evaluation.model_validate_json(file.read_bytes()),
            evaluation,
        )
    best = best_row(rows) or {}
    primary = _primary(experiment.get("heads"), rows) | evaluation.primary
    val = {head: best.get(f"val.{head}.{metric}") for head, metric in primary.items()}
    return RunSummary(
        path,
        facts.name,
        "damaged" if problems else facts.state,
        problems,
        facts.started,
        epochs=int(rows[-1]["epoch"]) if rows else 0,
        seconds=sum(row.get("seconds", 0.0) for row in rows),
        best_epoch=int(best["epoch"]) if best else None,
        best_val_loss=finite_or_none(best.get("val.loss")),
        final_val_loss=finite_or_none(rows[-1].get("val.loss")) if rows else None,
        primary=primary,
        val={head: finite_or_none(value) for head, value in val.items() if value is not None},
        test=evaluation.heads,
        settings=flatten(experiment) if experiment else {},
    )


def differing(summaries: Sequence[RunSummary]) -> dict[str, list[Any]]:
    """The keys of config.yaml that differ between runs, with the value of each run; None if a run lacks the key."""
    keys = dict.fromkeys(key for summary in summaries for key in summary.settings)
    values = {key: [summary.settings.get(key) for summary in summaries] for key in keys}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found)}


def _primary(heads: Any, rows: Sequence[Row]) -> dict[str, str]:
    """The primary metric of each head: of its plugin, or the first column if the plugin is not installed."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    chosen: dict[str, str] = {}
    for head in heads_of(columns):
        metrics = head_metrics(columns, head)
        block = heads.get(head) if isinstance(heads, Mapping) else None
        declared = _declared(str(block["type"])) if isinstance(block, Mapping) and "type" in block else None
        if metrics:
            chosen[head] = declared if declared in metrics else metrics[0]
    return chosen


def _declared(kind: str) -> str | None:
    try:
        primary = getattr(resolve(load_head(kind)[0].metrics, kind), "primary", None)
    except PluginError:
        return None
    return primary if isinstance(primary, str) else None


def _in_one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return ".".join(str(part) for part in first["loc"]) + ": " * bool(first["loc"]) + first["msg"]
    return " ".join(str(error).split())
