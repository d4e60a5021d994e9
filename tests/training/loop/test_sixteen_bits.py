"""Steps in 16 bits: weights and validation stay in 32, features may be cached, a run resumes to its bits."""

import csv
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dermtl.errors import ConfigError
from dermtl.runs.folder import RunFolder, load_run

Train = Callable[..., RunFolder]
StopAt = Callable[[int], AbstractContextManager[None]]
BF16 = ("training.precision=bf16-mixed", "training.augmentation=none")
STAGES = {
    "all": "training.stages=[{train: all, epochs: 2, lr: 2e-3}]",
    "last": "training.stages=[{train: 'last:1', epochs: 2, lr: 1e-2}]",
    "head": "training.stages=[{train: head, epochs: 2, lr: 1e-2}]",
}


def losses(run: RunFolder) -> list[float]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return [float(row["val.loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("stage", STAGES)
def test_sixteen_bits_come_near_thirty_two(
    train_tiny: Train, tmp_path: Path, stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dermtl"):
        half = train_tiny(tmp_path / "half", *BF16, STAGES[stage])
    assert ("feature cache: " in caplog.text) == (stage == "head")
    full = train_tiny(tmp_path / "full", *BF16[1:], STAGES[stage])
    assert half.last.read_bytes() != full.last.read_bytes()
    assert losses(half) == pytest.approx(losses(full), rel=0.05)
    stored = {name: value.dtype for name, value in load_file(half.last).items()}
    assert stored == {name: value.dtype for name, value in load_file(full.last).items()}
    with torch.no_grad():
        raw = load_run(half.path).network(torch.zeros(1, 3, 48, 48, dtype=torch.uint8))
    assert {value.dtype for value in raw.values()} == {torch.float32}


def test_validation_of_cached_features_is_in_thirty_two_bits(train_tiny: Train, tmp_path: Path) -> None:
    """Before anything was learned worth speaking of, cached or not and 16 bits or 32 have to give the same losses."""
    still = ("training.stages=[{train: head, epochs: 1, lr: 1e-12}]", "training.augmentation=none")
    full = train_tiny(tmp_path / "full", *still, "training.feature_cache_mb=0")
    half = train_tiny(tmp_path / "half", *still, "training.precision=bf16-mixed")
    assert losses(half) == pytest.approx(losses(full), rel=1e-6)


def test_a_stop_in_sixteen_bits_resumes(train_tiny: Train, tmp_path: Path, stop_at: StopAt) -> None:
    stage = "training.stages=[{train: 'last:1', epochs: 1, lr: 1e-2}]"
    overrides = (*BF16, stage, "backbone.image_size=32", "heads.outline={type: segmentation, classes: [lesion]}")
    reference = train_tiny(tmp_path / "reference", *overrides)
    with stop_at(3):
        train_tiny(tmp_path / "run", *overrides)
    run = train_tiny(tmp_path / "run", *overrides, resume=True)
    assert run.last.read_bytes() == reference.last.read_bytes()


def test_a_precision_that_the_device_lacks_is_refused(train_tiny: Train, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.precision: 16-mixed needs a GPU"):
        train_tiny(tmp_path / "run", "training.precision=16-mixed")
    assert not (tmp_path / "run" / "last.safetensors").exists()
