"""What a frozen backbone gives is computed once, and nothing else changes."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.config.training import Stage
from dermtl.model.backbone import Backbone
from dermtl.model.head import FeatureInfo, Features, Head
from dermtl.model.network import Network
from dermtl.runs.folder import RunFolder
from dermtl.training.data.feature_cache import FrozenBackbone
from dermtl.training.optim.freezing import set_trainable
from dermtl.training.optim.layer_groups import backbone_groups, trainable_groups

Train = Callable[..., RunFolder]
StopAt = Callable[[int], AbstractContextManager[None]]


class ReadingHead(Head):
    """Reads the pooled features, and of the maps those it is given."""

    def __init__(self, features: FeatureInfo, levels: tuple[int, ...]) -> None:
        super().__init__(None, features)
        self.levels = levels
        width = features.num_pooled + sum(features.channels[level] for level in levels)
        self.linear = torch.nn.Linear(width, 2)

    def forward(self, features: Features) -> torch.Tensor:
        means = [features.maps[level].mean(dim=(2, 3)) for level in self.levels]
        return self.linear(torch.cat([features.pooled, *means], dim=1))

    def loss(self, raw: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"square": ((raw - target) ** 2).mean(dim=1)}

    def activate(self, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"value": raw}


def make(name: str, levels: tuple[int, ...] = ()) -> Network:
    torch.manual_seed(0)
    backbone = Backbone(BackboneConfig(name=name, pretrained=False, image_size=64))
    network = Network(backbone, {"number": ReadingHead(backbone.features, levels)})
    network = network.to(memory_format=torch.channels_last)
    network.train()
    set_trainable(network, trainable_groups(Stage(epochs=1, train="head"), backbone_groups(network)))
    return network


def pictures(num: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (num, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


FAMILIES = ["test_resnet", "test_efficientnet", "test_convnext", "test_vit", "mobilenetv2_100", "test_nfnet"]


@pytest.mark.parametrize("levels", [(), (-1,)])
@pytest.mark.parametrize("name", FAMILIES)
def test_heads_answer_as_on_the_picture(name: str, levels: tuple[int, ...]) -> None:
    network = make(name, levels)
    frozen = FrozenBackbone(network, pictures(2))
    images = pictures(5, seed=1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    cached = frozen.features(frozen.compute(images))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(network.run_heads(cached)["number"], network(images)["number"])


def test_only_what_is_read_is_kept() -> None:
    """A head on pooled features needs no map; one that reads a coarse map does not need the fine ones."""
    sizes = []
    for levels in ((), (-1,), (0, -1)):
        sizes.append(FrozenBackbone(make("test_resnet", levels), pictures(1)).num_bytes)
    assert sizes[0] == 4 * make("test_resnet").backbone.features.num_pooled
    assert sizes[0] < sizes[1] < sizes[2]


HEAD_ONLY = (
    "training.stages=[{train: head, epochs: 3, lr: 1e-2}]",
    "training.augmentation=none",
)


@pytest.mark.parametrize("more", [(), ("training.stages.0.image_size=32",), ("training.accumulate=2",)])
def test_a_cached_run_is_the_run_without(
    train_tiny: Train, tmp_path: Path, more: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dermtl"):
        cached = train_tiny(tmp_path / "cached", *HEAD_ONLY, *more)
        assert caplog.text.count("feature cache: ") == 2  # of training and of validation records
        caplog.clear()
        plain = train_tiny(tmp_path / "plain", *HEAD_ONLY, *more, "training.feature_cache_mb=0")
        assert "feature cache: " not in caplog.text
    one, other = load_file(cached.last), load_file(plain.last)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=1e-6)


def test_a_backbone_that_learns_in_part_is_run_anew(
    train_tiny: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dermtl"):
        stage = "training.stages=[{train: 'last:1', epochs: 1, lr: 1e-2}]"
        train_tiny(tmp_path / "run", stage, "training.augmentation=none")
    assert "feature cache: " not in caplog.text


def test_views_are_repeated(train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two views each record is augmented twice, however many epochs follow."""
    from dermtl.training.data.dataset import Examples

    real, seen = Examples.__getitem__, []

    def noted(self: Examples, key: tuple[int, ...]) -> object:
        if self.augmentation is not None:
            seen.append(key)
        return real(self, key)

    monkeypatch.setattr(Examples, "__getitem__", noted)
    run = train_tiny(tmp_path / "run", "training.stages=[{train: head, epochs: 6, views: 2, lr: 1e-2}]")
    num = run.facts["data"]["train"]
    tried = 8 + 2 + 16  # before the run, to see what the heads read, and for the sheet of pictures
    assert len(seen) == 2 * num + tried
    assert {epoch for epoch, _ in seen} == {0, 1}


@pytest.mark.parametrize(("each", "fits"), [(10_000, True), (100_000, False)])
def test_a_budget_is_kept_to(
    train_tiny: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    each: int,
    fits: bool,
) -> None:
    """Of 21 pictures at 10 kB or 100 kB each, 1 MB holds the former."""
    real = FrozenBackbone.__init__

    def sized(self: FrozenBackbone, *arguments: object) -> None:
        real(self, *arguments)  # type: ignore[arg-type]
        self.num_bytes = each

    monkeypatch.setattr(FrozenBackbone, "__init__", sized)
    with caplog.at_level(logging.INFO, "dermtl"):
        train_tiny(tmp_path / "run", *HEAD_ONLY, "training.feature_cache_mb=1", "training.stages.0.epochs=1")
    assert ("feature cache: " in caplog.text) == fits
    assert ("exceed training.feature_cache_mb" in caplog.text) != fits


def test_a_stop_while_the_head_trains_on_cached_features(train_tiny: Train, tmp_path: Path, stop_at: StopAt) -> None:
    reference = train_tiny(tmp_path / "reference", *HEAD_ONLY)
    with stop_at(6):
        train_tiny(tmp_path / "run", *HEAD_ONLY)
    run = train_tiny(tmp_path / "run", *HEAD_ONLY, resume=True)
    assert run.last.read_bytes() == reference.last.read_bytes()
    assert run.best.read_bytes() == reference.best.read_bytes()
