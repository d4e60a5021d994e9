"""A stage's picture size and norms, counted on what the network is really given and on its buffers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from dermtl.errors import ConfigError
from dermtl.model.backbone import Backbone
from dermtl.runs.folder import RunFolder
from dermtl.training.data.image_size import shrink

Train = Callable[..., RunFolder]
STATISTICS = ("running_mean", "running_var")


def norms_of(run: RunFolder, start: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in load_file(run.last).items() if name.startswith(start) and "bn" in name}


def test_frozen_norms_keep_their_statistics_and_learn_their_scale(train_tiny: Train, tmp_path: Path) -> None:
    first = norms_of(train_tiny(tmp_path / "first", "training.stages=[{train: head, epochs: 1, lr: 1e-9}]"), "backbone")
    frozen = train_tiny(tmp_path / "frozen", "training.stages=[{train: all, epochs: 1, lr: 1e-2, norms: frozen}]")
    moving = train_tiny(tmp_path / "moving", "training.stages=[{train: all, epochs: 1, lr: 1e-2, norms: train}]")
    for run, stays in ((frozen, True), (moving, False)):
        found = norms_of(run, "backbone")
        statistics = [name for name in found if name.endswith(STATISTICS)]
        assert statistics
        assert all(torch.equal(found[name], first[name]) == stays for name in statistics)
        assert not any(torch.equal(found[name], first[name]) for name in found if name.endswith(".weight"))


def test_norms_of_a_head_still_learn(train_tiny: Train, tmp_path: Path) -> None:
    outline = "heads={outline: {type: segmentation, classes: [lesion]}}"
    stage = "training.stages=[{train: all, epochs: 1, lr: 1e-2, norms: frozen}]"
    found = load_file(train_tiny(tmp_path / "run", outline, stage).last)
    means = [value for name, value in found.items() if name.startswith("heads") and name.endswith("running_mean")]
    assert means
    assert all(value.abs().sum() > 0 for value in means)


def test_a_stage_sees_its_size_and_validation_the_full_one(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = Backbone.forward, []

    def noted(self: Backbone, image: torch.Tensor) -> object:
        seen.append((self.training, image.shape[-1]))
        return real(self, image)

    monkeypatch.setattr(Backbone, "forward", noted)
    stages = "training.stages=[{train: all, epochs: 1, image_size: 32}, {train: all, epochs: 1}]"
    train_tiny(tmp_path / "run", stages)
    assert {size for training, size in seen if training} == {32, 48}
    rows = [size for training, size in seen if training]
    assert rows == sorted(rows)
    assert 48 in {size for training, size in seen if not training}


def test_small_pictures_are_antialiased() -> None:
    """A checkerboard of single pixels becomes grey, as torch's own antialiased resize makes it."""
    board = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    board[..., ::2, ::2] = board[..., 1::2, 1::2] = 255
    found = shrink(board, 32)
    assert found[..., 2:-2, 2:-2].std() < 1
    expected = F.interpolate(board.float(), size=32, mode="bilinear", antialias=True)
    assert torch.equal(found, expected)
    assert shrink(board, None) is board
    assert shrink(board, 64) is board


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("training.stages=[{epochs: 1, image_size: 64}]",), "image_size: 64 is above backbone.image_size: 48"),
        (
            (
                "backbone={name: test_vit, pretrained: false, image_size: 64}",
                "training.stages=[{epochs: 1, image_size: 33}]",
            ),
            "this network does not take 33 px",
        ),
    ],
)
def test_a_size_that_the_network_does_not_take_is_refused(
    train_tiny: Train, tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        train_tiny(tmp_path / "run", *overrides)
    assert "training.stages.0.image_size" in str(caught.value)
    assert not (tmp_path / "run").exists()
