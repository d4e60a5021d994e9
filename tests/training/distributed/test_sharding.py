"""Two processes that share the weights out train as one process does, stop and go on, and leave files as it does."""

import csv
import logging
import multiprocessing
import os
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dermtl.config.load import load_experiment
from dermtl.config.training import Training
from dermtl.errors import ConfigError
from dermtl.model.checkpoint import load_state, load_weights
from dermtl.runs.folder import RunFolder, load_run
from dermtl.training.data.batch_order import BatchOrder
from dermtl.training.data.batch_source import BatchSource
from dermtl.training.data.loader import load_batches
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.validate import Validator
from dermtl.training.prepare import make_examples, make_network, prepare
from dermtl.training.train import train

# Without dropout and BatchNorm, which differ by process. Heads whose truths many records lack; a validation record that
# only one of two processes gets; parts of a batch of which a process has three or four; weights that freeze and thaw.
EXPERIMENT = """\
name: shared
data: {{root: {root}, manifest: {table}, split: {{column: part}}, copies: false, allow_leakage: true}}
backbone: {{name: test_vit, pretrained: false, image_size: 64}}
heads:
  diagnosis: {{type: classification, classes: [keratosis, melanoma, nevus], dropout: 0}}
  extent: {{type: circle, dropout: 0}}
training:
  stages:
    - {{train: head, epochs: 1, lr: 1e-2, optimizer: sgd}}
    - {{train: all, epochs: 3, lr: 1e-2, optimizer: adamw, optimizer_options: {{eps: 1e-2}}, unfreeze_epochs: 1}}
    - {{train: "last:1", epochs: 1, lr: 1e-2, optimizer: sgd}}
  batch_size: 7
  accumulate: 4
  clip_grad: 0.5
  ema: 0.9
  shard: true
  workers: 0
  accelerator: cpu
  augmentation: light
  early_stopping: null
"""


@pytest.fixture(scope="module")
def experiment(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    with (drawn / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["part"] = "val" if number == 0 else "train" if number < 21 else "test"
        if number % 5 in (1, 2, 3):
            row["label"] = ""
        if number % 5 == 4:
            row |= {"cx": "", "cy": "", "r": ""}
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    path = folder / "shared.yaml"
    path.write_text(EXPERIMENT.format(root=drawn, table=folder / "table.csv"))
    return path


def attempt(experiment: Path, run: Path, overrides: tuple[str, ...], rank: str, port: str, kill_at: int | None) -> None:
    """Train in this process, one of two, which kills itself at a step."""
    from dermtl.training.loop.step import Step

    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ.update(together | {"TORCHELASTIC_RUN_ID": "x", "GROUP_RANK": "0", "RANK": rank, "LOCAL_RANK": rank})
    torch.set_num_threads(1)
    real, done = Step.__call__, [0]

    def step(self: Step, *arguments: Any, **named: Any) -> bool:
        done[0] += 1
        if done[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *arguments, **named)

    Step.__call__ = step  # type: ignore[method-assign]
    train(experiment, overrides, run=run, resume=True)


def two(experiment: Path, run: Path, *overrides: str, kill_at: int | None = None) -> list[int | None]:
    """The exit codes of two processes that begin a run, or go on with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dermtl.training.train"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    processes = [
        context.Process(target=attempt, args=(experiment, run, overrides, rank, port, kill_at)) for rank in ("0", "1")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()  # one that hangs; otherwise nothing
    return [process.exitcode for process in processes]


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(run.last)


def assert_close(run: RunFolder, other: RunFolder) -> None:
    for path in ("last", "best"):
        one, two = load_file(getattr(run, path)), load_file(getattr(other, path))
        assert one.keys() == two.keys()
        for name, value in one.items():
            torch.testing.assert_close(value, two[name], rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def shared(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = tmp_path_factory.mktemp("runs") / "two"
    assert two(experiment, run) == [0, 0]
    return RunFolder(run)


@pytest.fixture(scope="module")
def alone(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(experiment, run=tmp_path_factory.mktemp("runs") / "one")


def outline(value: Any) -> Any:
    """A state with shapes in place of tensors."""
    if isinstance(value, Mapping):
        return {name: outline(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [outline(part) for part in value]
    return (type(value), value.shape) if isinstance(value, torch.Tensor) else type(value)


@pytest.mark.release
def test_two_that_share_are_one(shared: RunFolder, alone: RunFolder) -> None:
    assert_close(shared, alone)
    with (shared.path / "metrics.csv").open() as one, (alone.path / "metrics.csv").open() as other:
        for row, same in zip(csv.DictReader(one), csv.DictReader(other), strict=True):
            for name in row.keys() - {"seconds"}:
                found, expected = float(row[name] or "nan"), float(same[name] or "nan")
                assert found == pytest.approx(expected, rel=1e-3, abs=1e-3, nan_ok=True), name


@pytest.mark.release
def test_their_files_are_those_of_one(shared: RunFolder, alone: RunFolder) -> None:
    assert outline(load_state(shared.state)) == outline(load_state(alone.state))
    assert load_run(shared.path).network.state_dict().keys() == load_file(alone.best).keys()


@pytest.mark.release
def test_a_kill(experiment: Path, shared: RunFolder, alone: RunFolder, tmp_path: Path) -> None:
    """They go on to the same bits; one process that goes on in their place comes to the same weights."""
    run = tmp_path / "killed"
    assert two(experiment, run, kill_at=8) == [-signal.SIGKILL] * 2
    shutil.copytree(run, tmp_path / "copy")
    assert two(experiment, run) == [0, 0]
    for name, value in weights(shared).items():
        assert torch.equal(value, weights(RunFolder(run))[name]), name
    assert_close(train(experiment, ["training.shard=false"], run=tmp_path / "copy", resume=True), alone)


@pytest.mark.release
def test_one_begins_and_two_go_on(experiment: Path, alone: RunFolder, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    class StopAfterThreeEpochs:
        def on_batch(self, loss: float | None) -> None:
            pass

        def on_epoch(self, row: Mapping[str, Any]) -> None:
            if row["epoch"] == 3:
                raise EnoughError

    with pytest.raises(EnoughError):
        train(experiment, run=tmp_path / "run", listeners=[StopAfterThreeEpochs()])
    assert two(experiment, tmp_path / "run") == [0, 0]
    assert_close(RunFolder(tmp_path / "run"), alone)


@pytest.mark.release
@pytest.mark.parametrize("share", ["true", "false"])
def test_figures_are_those_of_the_weights_kept(experiment: Path, tmp_path: Path, share: str) -> None:
    """With BatchNorm, whose running statistics each process has its own of; the second has the validation record."""
    backbone = "backbone={name: test_resnet, pretrained: false, image_size: 48}"
    overrides = (backbone, "training.stages=[{train: all, epochs: 1, lr: 1e-2}]", f"training.shard={share}")
    assert two(experiment, tmp_path / "run", *overrides) == [0, 0]
    loaded, source = load_experiment(experiment, overrides)
    prepared = prepare(loaded, source)
    _, val = make_examples(prepared, source)
    network = make_network(prepared, source)
    load_weights(tmp_path / "run" / "last.safetensors", network)
    batches = load_batches(val, BatchOrder(len(val), 1, shuffle=False), workers=0, pin_memory=False)
    objective = Objective(network, dict.fromkeys(prepared.plans, 1.0))
    found = Validator(network, prepared.plans, objective, torch.device("cpu")).validate(batches)
    with (tmp_path / "run" / "metrics.csv").open() as file:
        assert float(next(csv.DictReader(file))["val.loss"]) == pytest.approx(found["loss"], rel=1e-5)


def test_a_batch_with_too_few_records_for_the_processes(tiny_experiment: Path) -> None:
    experiment, source = load_experiment(tiny_experiment, ["training.batch_size=2"])
    prepared = prepare(experiment, source)
    train, val = make_examples(prepared, source)
    processes: Any = SimpleNamespace(num=2, rank=0)
    with pytest.raises(ConfigError, match="17 training records make batches of 1, which 2 processes cannot share"):
        BatchSource(experiment.training, processes, make_network(prepared, source), train, val)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"loss_weighting": "uncertainty"}, "loss_weighting"),
        ({"precision": "16-mixed"}, "precision"),
        ({"stages": [{"epochs": 1}, {"epochs": 1, "optimizer": "muon"}]}, "stages.1.optimizer"),
    ],
)
def test_what_does_not_go_together(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], named: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=f"training.shard: does not go with .*{named}"):
        ProcessGroup(Training.model_validate({"stages": [{"epochs": 1}], "accelerator": "cpu", "shard": True} | change))


def test_one_process_ignores_sharding(caplog: pytest.LogCaptureFixture) -> None:
    training = Training.model_validate({"stages": [{"epochs": 1}], "accelerator": "cpu", "shard": True})
    with caplog.at_level(logging.INFO):
        assert not ProcessGroup(training).sharded
    assert "no effect with one process" in caplog.text
