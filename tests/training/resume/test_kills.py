"""Forty kills at random places of one run, each of them followed by a resume: the end is that of a run left alone."""

import multiprocessing
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from dermtl.runs.folder import RunFolder

pytestmark = pytest.mark.release
KILLS = 40
OVERRIDES = (
    "training.stages=[{train: head, epochs: 3, lr: 1e-2, views: 2}, "
    "{train: all, epochs: 60, lr: 1e-3, unfreeze_epochs: 8, warmup_epochs: 2}]",
    "training.ema=0.9",
    "training.loss_weighting=uncertainty",
    "training.early_stopping={patience: 100}",
)


def attempt(experiment: Path, run: Path, kill_at: int | None, saving: bool) -> None:
    """Train in this process, which kills itself: at a step, or between writing and renaming a file."""
    import torch

    from dermtl.files import atomic
    from dermtl.training.loop.step import Step
    from dermtl.training.train import train

    torch.set_num_threads(1)
    real_step, real_replace, done = Step.__call__, os.replace, [0]

    def due() -> bool:
        return kill_at is not None and done[0] >= kill_at

    def step(self: Step, *arguments: Any, **named: Any) -> bool:
        done[0] += 1
        if due() and not saving:
            os.kill(os.getpid(), signal.SIGKILL)
        return real_step(self, *arguments, **named)

    def replace(*arguments: Any) -> None:
        if due() and saving:
            os.kill(os.getpid(), signal.SIGKILL)
        real_replace(*arguments)

    Step.__call__ = step  # type: ignore[method-assign]
    atomic.os.replace = replace  # type: ignore[attr-defined]
    train(experiment, OVERRIDES, run=run, resume=True)


def run_attempt(experiment: Path, run: Path, kill_at: int | None = None, *, saving: bool = False) -> int:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dermtl.training.train"])
    process = context.Process(target=attempt, args=(experiment, run, kill_at, saving))
    process.start()
    process.join(180)
    assert process.exitcode is not None, "hangs"
    return process.exitcode


def test_forty_kills(tiny_experiment: Path, tmp_path: Path) -> None:
    alone, run = RunFolder(tmp_path / "alone"), RunFolder(tmp_path / "run")
    assert run_attempt(tiny_experiment, alone.path) == 0
    chance = random.Random(0)
    codes = [
        run_attempt(tiny_experiment, run.path, chance.randint(1, 12), saving=chance.random() < 0.3)
        for _ in range(KILLS)
    ]
    assert codes == [-signal.SIGKILL] * KILLS, "a run ended before it was killed"
    assert run_attempt(tiny_experiment, run.path) == 0
    assert run.last.read_bytes() == alone.last.read_bytes()
    assert run.best.read_bytes() == alone.best.read_bytes()
    assert run.facts["best_val_loss"] == alone.facts["best_val_loss"]
