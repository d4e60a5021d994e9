"""An optimiser that cannot train is refused before anything is written, found by letting it step."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from timm.optim import create_optimizer_v2, list_optimizers
from torch import nn

from dermtl.config.training import Stage
from dermtl.errors import ConfigError
from dermtl.runs.folder import RunFolder
from dermtl.training.optim.optimiser import try_optimiser


def steps_in_plain_torch(name: str) -> bool:
    """Whether a small convolutional network takes three steps with it, without any of dermtl."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    try:
        optimiser = create_optimizer_v2(network, opt=name, lr=1e-3, weight_decay=0.01)
        for _ in range(3):
            optimiser.zero_grad()
            network(torch.rand(4, 3, 8, 8)).square().mean().backward()
            optimiser.step()
    except (AssertionError, RuntimeError):
        return False
    return True


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of timm and of the compiler that kron calls
def test_every_optimiser_of_timm_is_judged_as_plain_torch_judges_it() -> None:
    judged = {}
    for name in list_optimizers():
        try:
            try_optimiser(Stage(epochs=1, optimizer=name, weight_decay=0.01), "cpu")
        except ConfigError:
            judged[name] = False
        else:
            judged[name] = True
    assert judged == {name: steps_in_plain_torch(name) for name in judged}
    assert not judged["adahessian"]
    assert sum(judged.values()) > 50


def test_what_an_optimiser_draws_does_not_reach_training() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    try_optimiser(Stage(epochs=1, optimizer="adamw"), "cpu")
    assert torch.equal(torch.rand(3), expected)


def test_an_optimiser_that_needs_the_graph_is_refused_before_anything_is_written(
    train_tiny: Callable[..., RunFolder], tmp_path: Path
) -> None:
    stages = "training.stages=[{train: head, epochs: 1}, {train: all, epochs: 1, optimizer: adahessian}]"
    with pytest.raises(ConfigError, match=r"training\.stages\.1\.optimizer: timm's adahessian") as caught:
        train_tiny(tmp_path / "run", stages)
    assert caught.value.where.startswith("-o training.stages=")
    assert "adamw" in caught.value.hint
    assert not (tmp_path / "run").exists()
