"""Checks of training: weights are the whole state, and workers or a resume change nothing."""

import csv
import logging
import math
import signal
from pathlib import Path

import torch

from dermtl.errors import Interrupted
from dermtl.model.checkpoint import load_weights, save_weights
from dermtl.runs.folder import RunFolder
from dermtl.testing.assertions import check
from dermtl.testing.head_under_test import NAME, HeadUnderTest


class TrainingChecks:
    """Checks of short runs through the whole engine."""

    subject: HeadUnderTest

    def test_trains_where_truth_is_missing(self) -> None:
        """A run on records of which some have no annotation ends, with finite losses and metrics."""
        with (self.subject.run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        check(len(rows) == 2, f"two epochs leave {len(rows)} rows in metrics.csv")
        losses = {name: value for row in rows for name, value in row.items() if "loss" in name and value}
        check(losses, "metrics.csv holds no loss")
        for name, value in losses.items():
            check(math.isfinite(float(value)), f"{name} is {value} after two epochs")

    def test_weights_are_all_there_is(self) -> None:
        """Saved and loaded into a new network, the weights give the same outputs to the bit."""
        network = self.subject.network(seed=1)
        network(self.subject.images[:4])
        path = self.subject.folder / "weights.safetensors"
        save_weights(path, network.state_dict())
        other = self.subject.network(seed=2)
        load_weights(path, other)
        with torch.no_grad():
            mine, theirs = (n.eval().activate(n(self.subject.images[:3])) for n in (network, other))
        for name, value in mine.items():
            check(torch.equal(value, theirs[name]), f"{name} differs once the weights are loaded into a new network")

    def test_workers_change_nothing(self) -> None:
        """Two workers give the same weights as none, to the bit."""
        self._check_equal(self.subject.train("workers", workers=2), "with two workers")

    def test_resume_changes_nothing(self) -> None:
        """A run that is stopped after an epoch and resumed ends with the weights of an uninterrupted run."""
        root = logging.getLogger("dermtl")
        stop, level, told = _StopAfterAnEpoch(self.subject.folder / "resumed"), root.level, root.propagate
        root.setLevel(logging.INFO)
        root.propagate = False
        root.addHandler(stop)
        try:
            self.subject.train("resumed")
        except Interrupted:
            pass
        finally:
            root.removeHandler(stop)
            root.setLevel(level)
            root.propagate = told
        check(stop.done, "the run ended before it could be stopped")
        self._check_equal(self.subject.train("resumed", resume=True), "after a stop and a resume")

    def _check_equal(self, run: Path, what: str) -> None:
        from safetensors.torch import load_file

        one, other = (load_file(RunFolder(path).last) for path in (self.subject.run, run))
        for name, value in one.items():
            mine = "the head's " if name.startswith(f"heads.{NAME}.") else ""
            check(torch.equal(value, other[name]), f"{mine}{name} has other values {what}")


class _StopAfterAnEpoch(logging.Handler):
    """Sends SIGTERM, as a scheduler would, once an epoch has been written."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self._metrics = run / "metrics.csv"
        self.done = False

    def emit(self, record: logging.LogRecord) -> None:
        """On any message after the first epoch."""
        if not self.done and self._metrics.is_file():
            self.done = True
            signal.raise_signal(signal.SIGTERM)
