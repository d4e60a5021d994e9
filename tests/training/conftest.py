"""A tiny experiment on drawn pictures: two heads on a backbone of a few hundred kilobytes."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch

from dermtl.config.experiment import Data
from dermtl.config.load import load_experiment
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import read_splits
from dermtl.errors import Interrupted
from dermtl.kinds import Record
from dermtl.model.network import Network, build_network
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import RunFolder, TrainedRun
from dermtl.training.data.batch_order import BatchOrder
from dermtl.training.data.dataset import Examples
from dermtl.training.data.loader import load_batches
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.step import Step
from dermtl.training.loop.validate import Validator
from dermtl.training.prepare import prepare
from dermtl.training.train import train

EXPERIMENT = """\
name: tiny
data: {{root: {root}}}
backbone: {{name: test_resnet, pretrained: false, image_size: 48}}
heads:
  diagnosis: {{type: classification, classes: [{classes}]}}
  extent: {{type: circle}}
training:
  stages: [{{train: all, epochs: 3, lr: 2e-3}}]
  batch_size: 4
  workers: 0
  accelerator: cpu
  augmentation: light
  select: {{by: val.loss}}
"""

Train = Callable[..., RunFolder]


@pytest.fixture(scope="session")
def drawn_records(drawn: Path) -> list[Record]:
    return read_manifest(Data(root=drawn))


@pytest.fixture(scope="session")
def tiny_experiment(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with (drawn / "manifest.csv").open(newline="") as file:
        classes = sorted({row["label"] for row in csv.DictReader(file)})
    path = tmp_path_factory.mktemp("experiment") / "tiny.yaml"
    path.write_text(EXPERIMENT.format(root=drawn, classes=", ".join(classes)))
    return path


@pytest.fixture(scope="session")
def train_tiny(tiny_experiment: Path) -> Train:
    """Train the tiny experiment with overrides."""

    def run(folder: Path, *overrides: str, resume: bool = False) -> RunFolder:
        return train(tiny_experiment, overrides, run=folder, resume=resume)

    return run


@pytest.fixture(scope="session")
def finished(train_tiny: Train, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of three epochs; not to be written to."""
    return train_tiny(tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture(scope="session")
def plan_tiny(tiny_experiment: Path) -> Callable[..., tuple[dict[str, HeadPlan], Network]]:
    """Plans and a fresh network of the tiny experiment with overrides."""

    def build(overrides: Sequence[str] = ()) -> tuple[dict[str, HeadPlan], Network]:
        experiment, source = load_experiment(tiny_experiment, overrides)
        plans = dict(prepare(experiment, source).plans)
        return plans, build_network(experiment.backbone, plans)

    return build


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
    """``with stop_at(n):`` a training is asked to stop in its n-th step, and does."""

    @contextmanager
    def stopping(number: int) -> Iterator[None]:
        real, done = Step.__call__, []

        def stopped(self: Step, *arguments: object, **named: object) -> bool:
            done.append(1)
            return real(self, *arguments, **{**named, "stop": len(done) == number})  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(Step, "__call__", stopped)
            with pytest.raises(Interrupted):
                yield

    return stopping


@pytest.fixture(scope="session")
def validation_loss() -> Callable[[TrainedRun], float]:
    """The validation loss of a loaded run, computed afresh."""

    def compute(stored: TrainedRun) -> float:
        records = read_splits(stored.folder.splits, read_manifest(stored.experiment.data))
        side = [record for record in records if record.split == "val"]
        examples = Examples(side, {name: plan.target for name, plan in stored.plans.items()}, 48)
        batches = load_batches(examples, BatchOrder(len(side), 4, shuffle=False))
        objective = Objective(stored.network, {name: plan.loss_weight for name, plan in stored.plans.items()})
        return Validator(stored.network, stored.plans, objective, torch.device("cpu")).validate(batches)["loss"]

    return compute
