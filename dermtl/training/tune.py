"""Hyperparameter search with Optuna: every trial is a run, evaluated on its validation records."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import optuna

from dermtl.config.load import load_experiment, validate
from dermtl.config.source import read_source
from dermtl.config.tuning import Range, Search
from dermtl.errors import ConfigError, NonFiniteLoss, TrainingError
from dermtl.files.atomic import refuse_file_as_folder, write_atomic
from dermtl.runs.folder import RunFolder
from dermtl.training.provenance import to_yaml
from dermtl.training.train import train

_log = logging.getLogger(__name__)
_ENDED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL)


def read_search(path: Path) -> Search:
    """Read a search file.

    Raises:
        ConfigError: The file is wrong; the message names the line of every error.
    """
    source = read_source(path)
    return validate(Search, source.data, source)


class Tuning:
    """One search, in a folder: ``study.db``, ``trials/<number>/`` and in the end ``best.yaml``.

    Args:
        config: Experiment file.
        search: Keys that vary, and the metric.
        folder: Folder of the search; a search that it holds is continued.
        overrides: Overrides ``a.b=value`` in every trial.

    Raises:
        ConfigError: A key of the space does not fit the experiment, or the folder holds another search.
    """

    def __init__(self, config: Path, search: Search, folder: Path, overrides: Sequence[str] = ()) -> None:
        self._config = config
        self._search = search
        self._folder = folder
        self._overrides = list(overrides)
        for key, values in search.space.items():
            first = values.choices[0] if values.choices is not None else _number(values, values.low)
            load_experiment(config, [*overrides, _override(key, first)])
        refuse_file_as_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would show tracebacks of trials that failed
        self._study = optuna.create_study(
            storage=f"sqlite:///{(folder / 'study.db').resolve()}",
            study_name="search",
            direction=search.direction,
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=search.startup, n_warmup_steps=search.warmup_epochs),
        )
        wanted = search.model_dump(mode="json", exclude={"trials"}) | {"overrides": self._overrides}
        before = self._study.user_attrs.get("search")
        if before is not None and before != wanted:
            hint = "begin another folder; only trials may be raised"
            raise ConfigError("holds another search", where=str(folder), hint=hint)
        self._study.set_user_attr("search", wanted)

    def clear(self) -> None:
        """Mark trials of killed processes as failed. Call it while no other process works on the search."""
        for trial in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def work(self, worker: int = 0) -> None:
        """Run trials until the search has as many as wanted; several processes may do so at once.

        Args:
            worker: Index of this process, which seeds the sampler.
        """
        num_ended = len(self._study.get_trials(deepcopy=False, states=_ENDED))
        self._study.sampler = optuna.samplers.TPESampler(seed=self._search.seed + 1000 * worker + num_ended)
        stop = optuna.study.MaxTrialsCallback(self._search.trials, states=_ENDED)
        if num_ended < self._search.trials:
            self._study.optimize(self._run, callbacks=[stop], catch=(NonFiniteLoss,))

    def finish(self) -> Path:
        """Write the best trial's experiment.

        Raises:
            TrainingError: No trial has finished.
        """
        try:
            best = self._study.best_trial
        except ValueError as error:
            raise TrainingError("no trial came to its end", where=str(self._folder)) from error
        experiment, _ = RunFolder(self._trial(best.number)).read_experiment()
        best_file = self._folder / "best.yaml"
        head = f"# trial {best.number}: {self._search.metric} {best.value:.6g}\n"
        write_atomic(best_file, head + to_yaml(experiment.model_dump(mode="json")))
        return best_file

    def _trial(self, number: int) -> Path:
        return self._folder / "trials" / f"{number:04d}"

    def _run(self, trial: optuna.Trial) -> float:
        drawn = [_override(key, _draw(trial, key, values)) for key, values in self._search.space.items()]
        reporter = _TrialReporter(trial, self._search.metric)
        run = RunFolder(self._trial(trial.number))
        try:
            train(self._config, [*self._overrides, *drawn], run=run.path, listeners=[reporter])
        except optuna.TrialPruned:
            run.note(run.facts | {"state": "pruned", "epochs": len(reporter.values)})
            raise
        best = min(reporter.values) if self._search.direction == "minimize" else max(reporter.values)
        _log.info("trial %d: %s %.6g (%s)", trial.number, self._search.metric, best, ", ".join(drawn))
        return best


class _TrialReporter:
    """Reports the metric of every epoch to Optuna, and ends a trial that Optuna prunes; a listener.

    Args:
        trial: Trial that is running.
        metric: Column of metrics.csv.

    Attributes:
        values: The metric after each epoch.
    """

    def __init__(self, trial: optuna.Trial, metric: str) -> None:
        self._trial = trial
        self._metric = metric
        self.values: list[float] = []

    def on_batch(self, loss: float | None) -> None:
        """Trials are pruned between epochs only."""

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        """Report the epoch.

        Raises:
            ConfigError: The row has no such metric.
            TrialPruned: Optuna prunes the trial.
        """
        if self._metric not in row:
            known = sorted(name for name in row if name.startswith("val."))
            near = get_close_matches(self._metric, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise ConfigError(f"metric: metrics.csv has no {self._metric!r}", hint=hint)
        self.values.append(float(row[self._metric]))
        self._trial.report(self.values[-1], len(self.values))
        if self._trial.should_prune():
            raise optuna.TrialPruned


def tune(config: Path, space: Path, folder: Path, overrides: Sequence[str] = (), *, workers: int = 1) -> Path:
    """Search in one or several processes, and write the best experiment.

    Args:
        config: Experiment file.
        space: Search file.
        folder: Folder of the search; a search that it holds is continued.
        overrides: Overrides ``a.b=value`` in every trial.
        workers: Number of processes.

    Returns:
        ``best.yaml`` in the folder.

    Raises:
        DermtlError: The input is wrong, or no trial finished.
    """
    search = read_search(space)
    tuning = Tuning(config, search, folder, overrides)
    tuning.clear()
    arguments = [str(config), str(space), "--out", str(folder), *(part for o in overrides for part in ("-o", o))]
    others = [
        subprocess.Popen([sys.executable, "-m", "dermtl", "tune", *arguments, "--worker", str(number)])
        for number in range(1, workers)
    ]
    try:
        tuning.work()
    finally:
        failed = [process.wait() for process in others]
    if any(failed):
        _log.warning("%d of %d workers failed", sum(code != 0 for code in failed), len(failed))
    return tuning.finish()


def _draw(trial: optuna.Trial, key: str, values: Range) -> Any:
    if values.choices is not None:
        return json.loads(trial.suggest_categorical(key, [json.dumps(choice) for choice in values.choices]))
    assert values.low is not None
    assert values.high is not None
    if values.integer:
        return trial.suggest_int(key, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(key, values.low, values.high, log=values.log)


def _number(values: Range, value: float | None) -> Any:
    return int(value or 0) if values.integer else value


def _override(key: str, value: Any) -> str:
    return f"{key}={json.dumps(value)}"
