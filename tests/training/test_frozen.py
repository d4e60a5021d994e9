"""What frozen layers give is computed once, and nothing else changes."""

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
from dermtl.model.run import RunFolder
from dermtl.training.frozen import FrozenLayers
from dermtl.training.stages import backbone_groups, freeze, select

Train = Callable[..., RunFolder]
StopAt = Callable[[int], AbstractContextManager[None]]


class ReadingHead(Head):
    """Reads the pooled features, and of the maps those it is told to."""

    def __init__(self, features: FeatureInfo, levels: tuple[int, ...]) -> None:
        super().__init__(None, features)
        self.levels = levels
        width = features.num_pooled + sum(features.channels[level] for level in levels)
        self.linear = torch.nn.Linear(width, 2)

    def forward(self, features: Features) -> torch.Tensor:
        means = [features.maps[level].mean(dim=(2, 3)) for level in self.levels]
        return self.linear(torch.cat([features.pooled, *means], dim=1))

    def loss(self, raw: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"square": ((raw - target) ** 2).mean()}

    def activate(self, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"value": raw}


def make(name: str, levels: tuple[int, ...] = ()) -> Network:
    torch.manual_seed(0)
    backbone = Backbone(BackboneConfig(name=name, pretrained=False, image_size=64))
    network = Network(backbone, {"number": ReadingHead(backbone.features, levels)})
    return network.to(memory_format=torch.channels_last)


def frozen(network: Network, train: str) -> None:
    network.train()
    freeze(network, select(Stage(epochs=1, train=train), backbone_groups(network)))


def pictures(num: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (num, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


FAMILIES = ["test_resnet", "test_efficientnet", "test_convnext", "test_vit", "mobilenetv2_100", "test_nfnet"]


@pytest.mark.parametrize("train", ["head", "last:1"])
@pytest.mark.parametrize("name", FAMILIES)
def test_replaying_is_recomputing(name: str, train: str) -> None:
    network = make(name)
    frozen(network, train)
    layers = FrozenLayers(network, pictures(2))
    assert layers.exact, f"{name} is not replayed, so nothing is gained"
    images = pictures(5, seed=1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    outputs = layers.compute(images)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    network.eval()
    truth = network(images)["number"]
    with layers.replayed(outputs):
        again = network(torch.zeros_like(images))["number"]
    assert torch.equal(truth, again)
    assert torch.equal(network(images)["number"], truth)  # the layers are themselves again


def test_gradients_are_those_of_the_whole(tmp_path: Path) -> None:
    network = make("test_resnet", levels=(2,))
    frozen(network, "last:1")
    layers = FrozenLayers(network, pictures(2))
    images = pictures(4, seed=1)
    outputs = layers.compute(images)
    found = []
    for replay in (False, True):
        frozen(network, "last:1")
        network.eval()
        network.zero_grad()
        if replay:
            with layers.replayed(outputs):
                loss = network(torch.zeros_like(images))["number"].square().sum()
        else:
            loss = network(images)["number"].square().sum()
        loss.backward()
        found.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert any(name.startswith("backbone") for name in found[0])
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_only_what_is_read_is_kept() -> None:
    """A head on pooled features needs no map; one that reads a coarse map does not need the fine ones."""
    sizes = []
    for levels in ((), (-1,), (0, -1)):
        network = make("test_resnet", levels)
        frozen(network, "head")
        sizes.append(FrozenLayers(network, pictures(1)).num_bytes)
    assert sizes[0] == 4 * make("test_resnet").backbone.features.num_pooled
    assert sizes[0] < sizes[1] < sizes[2]


def test_nothing_is_kept_of_a_backbone_that_learns() -> None:
    network = make("test_resnet")
    frozen(network, "all")
    assert not FrozenLayers(network, pictures(1)).exact


HEAD_ONLY = (
    "training.stages=[{train: head, epochs: 3, lr: 1e-2}]",
    "training.augmentation=none",
)
LAST = (
    "training.stages=[{train: 'last:1', epochs: 3, lr: 1e-2}]",
    "training.augmentation=none",
)


@pytest.mark.parametrize("stages", [HEAD_ONLY, LAST], ids=["head", "last"])
def test_a_run_on_kept_outputs_is_the_run_without(
    train_tiny: Train, tmp_path: Path, stages: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dermtl"):
        kept = train_tiny(tmp_path / "kept", *stages)
        assert "kept what frozen layers give" in caplog.text
        caplog.clear()
        plain = train_tiny(tmp_path / "plain", *stages, "training.feature_cache_mb=0")
        assert "kept what frozen layers give" not in caplog.text
    one, other = load_file(kept.last), load_file(plain.last)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=1e-6)


def test_views_are_repeated(train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two views each record is augmented twice, however many epochs follow."""
    from dermtl.training.dataset import Examples

    real, seen = Examples.__getitem__, []

    def noted(self: Examples, key: tuple[int, ...]) -> object:
        if self.augmentation is not None:
            seen.append(key)
        return real(self, key)

    monkeypatch.setattr(Examples, "__getitem__", noted)
    run = train_tiny(tmp_path / "run", "training.stages=[{train: head, epochs: 6, views: 2, lr: 1e-2}]")
    num = run.facts["data"]["train"]
    tried = 8 + 2  # before the run, and when replaying is tried
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
    monkeypatch.setattr(FrozenLayers, "num_bytes", property(lambda self: each))
    with caplog.at_level(logging.INFO, "dermtl"):
        train_tiny(tmp_path / "run", *LAST, "training.feature_cache_mb=1", "training.stages.0.epochs=1")
    assert ("kept what" in caplog.text) == fits
    assert ("exceed training.feature_cache_mb" in caplog.text) != fits


def test_a_stop_while_the_head_trains_on_kept_outputs(train_tiny: Train, tmp_path: Path, stop_at: StopAt) -> None:
    reference = train_tiny(tmp_path / "reference", *HEAD_ONLY)
    with stop_at(6):
        train_tiny(tmp_path / "run", *HEAD_ONLY)
    run = train_tiny(tmp_path / "run", *HEAD_ONLY, resume=True)
    assert run.last.read_bytes() == reference.last.read_bytes()
    assert run.best.read_bytes() == reference.best.read_bytes()


def test_a_later_run_finds_them_on_disk(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    views = "training.stages=[{train: 'last:1', epochs: 2, views: 2, lr: 1e-2}]"

    def run(name: str, *overrides: str) -> RunFolder:
        caplog.clear()
        with caplog.at_level(logging.INFO, "dermtl"):
            return train_tiny(tmp_path / name, views, "training.cache=disk", *overrides)

    first = run("first")
    assert "found what" not in caplog.text
    second = run("second")
    assert caplog.text.count("found what frozen layers give") == 2  # of training and of validation records
    assert second.last.read_bytes() == first.last.read_bytes()
    for key, value in (("seed", "1"), ("augmentation", "default")):
        num = run(key, f"training.{key}={value}").facts["data"]["train"]
        assert f"kept what frozen layers give for {2 * num} pictures" in caplog.text, key
    for file in (tmp_path / "cache" / "dermtl").glob("*.frozen.safetensors"):
        file.write_bytes(file.read_bytes()[:-100])
    assert run("damaged").last.read_bytes() == first.last.read_bytes()
    assert "found what" not in caplog.text


def test_the_name_on_disk_follows_pictures_and_truths(train_tiny: Train, tmp_path: Path, drawn: Path) -> None:
    import shutil
    from dataclasses import replace

    from dermtl.config.experiment import Data
    from dermtl.data.manifest import read_manifest
    from dermtl.kinds import Category
    from dermtl.training.dataset import Examples
    from dermtl.training.kept_file import kept_file

    network = make("test_resnet")
    frozen(network, "head")
    layers = FrozenLayers(network, pictures(2))
    shutil.copytree(drawn, tmp_path / "data")
    records = read_manifest(Data(root=tmp_path / "data"))[:4]
    classes = tuple(sorted({record.cells["label"] for record in records} | {"another"}))
    kinds = {"diagnosis": Category(classes, "label")}

    def name(chosen: list, size: int = 64) -> str:
        return kept_file(tmp_path, layers, Examples(chosen, kinds, size), 1).name

    plain = name(records)
    assert name(records) == plain
    assert name(records[:3]) != plain
    assert name(records, size=48) != plain
    relabelled = replace(records[0], cells={**records[0].cells, "label": "another"})
    assert name([relabelled, *records[1:]]) != plain
    records[1].path.write_bytes(records[2].path.read_bytes())
    assert name(records) != plain
