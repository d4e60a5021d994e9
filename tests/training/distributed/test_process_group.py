"""Two processes, started as torchrun starts them, train as one does."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dermtl.runs.folder import RunFolder

pytestmark = pytest.mark.release
Train = Callable[..., RunFolder]
# Without BatchNorm, which sees each process's part of a batch by itself, and without dropout, which draws by process.
OVERRIDES = (
    "backbone={name: test_vit, pretrained: false, image_size: 64}",
    "heads.diagnosis.dropout=0",
    "heads.extent.dropout=0",
    "training.stages=[{train: head, epochs: 1, optimizer: sgd}, {train: all, epochs: 1, lr: 1e-2, optimizer: sgd}]",
    "training.batch_size=8",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(experiment: Path, run: Path, *overrides: str, resume: bool = False) -> list[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "dermtl", "train", str(experiment), "--run", str(run)]
    command += ["--resume"] * resume
    for override in overrides:
        command += ["-o", override]
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    together |= {"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "x", "GROUP_RANK": "0"}
    return [
        subprocess.Popen(
            command,
            env=os.environ | together | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in ("0", "1")
    ]


def ended(processes: list[subprocess.Popen[bytes]]) -> tuple[list[int], str]:
    outputs = [process.communicate(timeout=300)[0].decode() for process in processes]
    return [process.returncode for process in processes], "\n".join(outputs)


def rows(run: RunFolder) -> list[dict[str, str]]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def alone(train_tiny: Train, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train_tiny(tmp_path_factory.mktemp("alone") / "run", *OVERRIDES)


def assert_alike(run: RunFolder, alone: RunFolder) -> None:
    one, other = load_file(alone.last), load_file(run.last)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=1e-5)
    for row, same in zip(rows(alone), rows(run), strict=True):
        for column, value in row.items():
            if column != "seconds" and value:
                assert float(same[column]) == pytest.approx(float(value), rel=1e-3, abs=1e-4, nan_ok=True), column


def test_two_processes_are_one(tiny_experiment: Path, alone: RunFolder, tmp_path: Path) -> None:
    codes, output = ended(launch(tiny_experiment, tmp_path / "run", *OVERRIDES))
    assert codes == [0, 0], output
    run = RunFolder(tmp_path / "run")
    assert run.facts["processes"] == 2
    assert "2 processes, 4 records of a batch each" in output
    assert_alike(run, alone)


def test_a_signal_to_one_stops_both_and_they_go_on(tiny_experiment: Path, tmp_path: Path) -> None:
    stages = "training.stages=[{train: all, epochs: 400, lr: 1e-3}]"
    processes = launch(tiny_experiment, tmp_path / "run", *OVERRIDES, stages)
    until = time.monotonic() + 120
    while not (tmp_path / "run" / "metrics.csv").exists() and time.monotonic() < until:
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    codes, output = ended(processes)
    assert codes == [143, 143], output
    run = RunFolder(tmp_path / "run")
    assert run.facts["state"] == "interrupted"


def test_a_batch_smaller_than_the_processes_are_many(tiny_experiment: Path, tmp_path: Path) -> None:
    codes, output = ended(launch(tiny_experiment, tmp_path / "run", "training.batch_size=1"))
    assert codes == [2, 2]
    assert "cannot be shared by 2 processes" in output
    assert not (tmp_path / "run").exists()


def test_the_command_of_the_docs(tiny_experiment: Path, tmp_path: Path) -> None:
    """torchrun reads options of its own before the two dashes; `--run` is short for one of them."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        str(free_port()),
    ]
    command += ["-m", "--", "dermtl", "train", str(tiny_experiment), "--run", str(tmp_path / "run")]
    command += ["-o", "training.stages.0.epochs=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained: ") == 1
    assert RunFolder(tmp_path / "run").facts["processes"] == 2
