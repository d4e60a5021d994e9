"""What runs reached, read from their folders: run.json, config.yaml, metrics.csv and evaluation/test/metrics.json.

A folder that is no run, or a damaged one, gives a summary that says so. Nothing is written, no weights are read.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dermtl.config.source import read_stored
from dermtl.errors import DermtlError, InputError, PluginError
from dermtl.plugins.discovery import load_head, resolve
from dermtl.tracking.history import Row, best_row, head_metrics, heads_of, read_history
from dermtl.tracking.settings import dotted

Found = TypeVar("Found")


class Figure(BaseModel):
    """A metric on the test records; None is not estimable."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None


class _Facts(BaseModel):
    """What of run.json is shown."""

    name: str
    state: str
    started: str = ""


class _Evaluation(BaseModel):
    """What of metrics.json is shown."""

    heads: dict[str, dict[str, Figure]]
    primary: dict[str, str] = {}


@dataclass(frozen=True)
class RunSummary:
    """One folder.

    Attributes:
        path: The folder.
        name: The experiment's name.
        state: What run.json says, such as finished; else ``damaged`` or ``no run``. A killed run says running.
        problems: What could not be read, one line each.
        started: When, where the run noted it.
        epochs: Epochs done.
        seconds: Their time in all.
        best_epoch: The epoch of the best weights, or the last if nothing was validated.
        best_val_loss: Its loss on validation.
        final_val_loss: The last epoch's.
        primary: Head to the metric that stands for it.
        val: Head to that metric on validation after the best epoch; None is not estimable.
        test: Head to metric to figure, where the run was evaluated on its test records.
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
    test: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def list_runs(folder: Path) -> list[RunSummary]:
    """Every folder right below one, in order of name; hidden ones are passed over.

    Raises:
        InputError: There is no such folder, or it cannot be read.
    """
    try:
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot be listed: {error.strerror}", where=str(folder)) from error
    return [read_summary(path) for path in inner]


def read_summary(path: Path) -> RunSummary:
    """What one folder tells; never fails over what it holds."""
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
        best_val_loss=_finite(best.get("val.loss")),
        final_val_loss=_finite(rows[-1].get("val.loss")) if rows else None,
        primary=primary,
        val={head: _finite(value) for head, value in val.items() if value is not None},
        test=evaluation.heads,
        settings=dotted(experiment) if experiment else {},
    )


def differing(summaries: Sequence[RunSummary]) -> dict[str, list[Any]]:
    """The keys of config.yaml that are not alike in all runs, each with a value a run; None where one lacks it."""
    keys = dict.fromkeys(key for summary in summaries for key in summary.settings)
    values = {key: [summary.settings.get(key) for summary in summaries] for key in keys}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found)}


def _primary(heads: Any, rows: Sequence[Row]) -> dict[str, str]:
    """The metric of each head: as its plugin says, or the first column where the plugin is not installed."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    chosen: dict[str, str] = {}
    for head in heads_of(columns):
        metrics = head_metrics(columns, head)
        own = heads.get(head) if isinstance(heads, Mapping) else None
        stated = _stated(str(own["type"])) if isinstance(own, Mapping) and "type" in own else None
        if metrics:
            chosen[head] = stated if stated in metrics else metrics[0]
    return chosen


def _stated(kind: str) -> str | None:
    try:
        primary = getattr(resolve(load_head(kind)[0].metrics, kind), "primary", None)
    except PluginError:
        return None
    return primary if isinstance(primary, str) else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _in_one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return ".".join(str(part) for part in first["loc"]) + ": " * bool(first["loc"]) + first["msg"]
    return " ".join(str(error).split())
