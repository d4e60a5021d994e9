"""A run that was stopped anywhere and resumed ends as one that was not."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dermtl.errors import CheckpointError, DermtlError, Interrupted
from dermtl.runs.folder import RunFolder
from dermtl.training.loop.signals import StopSignals
from dermtl.training.loop.step import Step

Train = Callable[..., RunFolder]
OVERRIDES = (
    # Two stages, a moving schedule, dropout, momenta: all of it must come back.
    "training.stages=[{train: head, epochs: 2, lr: 1e-2, warmup_epochs: 1}, {train: all, epochs: 8, lr: 1e-3}]",
)


def history(run: RunFolder) -> list[dict[str, str]]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def assert_same(run: RunFolder, reference: RunFolder) -> None:
    assert run.last.read_bytes() == reference.last.read_bytes()
    assert run.best.read_bytes() == reference.best.read_bytes()
    assert history(run) == history(reference)
    assert run.facts["state"] == "finished"
    assert run.facts["best_val_loss"] == reference.facts["best_val_loss"]


@pytest.fixture(scope="module")
def uninterrupted(train_tiny: Train, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train_tiny(tmp_path_factory.mktemp("reference") / "run", *OVERRIDES)


def start(experiment: Path, run: RunFolder, epochs: int, *overrides: str) -> subprocess.Popen[bytes]:
    """``dermtl train`` in a process of its own, as far as some epochs."""
    command = [sys.executable, "-m", "dermtl", "train", str(experiment), "--run", str(run.path)]
    for override in (*OVERRIDES, *overrides):
        command += ["-o", override]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    until = time.monotonic() + 120
    while not (run.path / "metrics.csv").exists() or len(history(run)) < epochs:
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            output, _ = process.communicate()
            pytest.fail(f"too few epochs: {output.decode()}")
        time.sleep(0.02)
    return process


@pytest.mark.release
def test_sigterm_then_resume(
    tiny_experiment: Path, train_tiny: Train, uninterrupted: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    process = start(tiny_experiment, run, epochs=1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output.decode()
    assert b"--resume" in output
    assert run.facts["state"] == "interrupted"
    assert 1 <= len(history(run)) < 10
    train_tiny(run.path, *OVERRIDES, resume=True)
    assert_same(run, uninterrupted)


@pytest.mark.release
def test_sigkill_then_resume(
    tiny_experiment: Path, train_tiny: Train, uninterrupted: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    process = start(tiny_experiment, run, epochs=random.randint(1, 5))
    time.sleep(random.uniform(0, 0.2))
    process.kill()
    process.communicate()
    assert len(history(run)) < 10, "killed too late to show anything"
    train_tiny(run.path, *OVERRIDES, resume=True)
    assert_same(run, uninterrupted)


@pytest.mark.release
def test_a_signal_to_every_process(tiny_experiment: Path, train_tiny: Train, tmp_path: Path) -> None:
    """Schedulers signal the data workers, too."""
    run = RunFolder(tmp_path / "run")
    process = start(tiny_experiment, run, 1, "training.workers=2", "training.stages.1.epochs=400")
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output.decode()
    assert b"Traceback" not in output, output.decode()
    assert run.facts["state"] == "interrupted"


class Stopped(BaseException):
    """Stands for a machine that goes dark."""


@pytest.mark.parametrize("step", [1, 5, 8])
def test_a_stop_between_any_two_batches(
    train_tiny: Train, finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """A signal inside a batch is granted after it: in the first epoch, at an epoch's last batch, in the middle."""
    real = Step.__call__
    done = 0

    def signalled(self: Step, *arguments: object, **named: object) -> bool:
        nonlocal done
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Step, "__call__", signalled)
    with pytest.raises(Interrupted) as caught:
        train_tiny(tmp_path / "run")
    monkeypatch.undo()
    assert caught.value.exit_code == 143
    run = RunFolder(tmp_path / "run")
    assert run.facts["state"] == "interrupted"
    assert_same(train_tiny(run.path, resume=True), finished)


@pytest.mark.parametrize("step", [1, 10])
def test_a_machine_that_goes_dark(
    train_tiny: Train, finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Nothing is saved at the moment of death; in the first epoch there is no checkpoint at all yet."""
    real = Step.__call__
    done = 0

    def dying(self: Step, *arguments: object, **named: object) -> bool:
        nonlocal done
        done += 1
        if done == step:
            raise Stopped
        return real(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Step, "__call__", dying)
    with pytest.raises(Stopped):
        train_tiny(tmp_path / "run")
    monkeypatch.undo()
    assert_same(train_tiny(tmp_path / "run", resume=True), finished)


def test_a_run_that_died_before_its_first_state_begins_again(
    train_tiny: Train, finished: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    shutil.copy(finished.config, run.config)
    assert_same(train_tiny(run.path, resume=True), finished)


def test_resume_begins_where_there_is_no_run(train_tiny: Train, finished: RunFolder, tmp_path: Path) -> None:
    assert_same(train_tiny(tmp_path / "run", resume=True), finished)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1000]),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"network": {}, "progress": {}, "optimizer": None}, path),
        lambda path: torch.save({"something": 1}, path),
    ],
    ids=["truncated", "no dict", "another network", "other keys"],
)
def test_a_damaged_state_is_refused(
    train_tiny: Train, finished: RunFolder, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    damage(run.state)
    with pytest.raises(CheckpointError, match=r"state\.pt"):
        train_tiny(run.path, resume=True)
    assert run.best.read_bytes() == finished.best.read_bytes()


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        signals.raise_if_caught("here")
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(DermtlError, match="SIGTERM"):
            signals.raise_if_caught("here")
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_signal_interrupts_at_once() -> None:
    with StopSignals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
