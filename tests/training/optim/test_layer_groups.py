"""What a stage trains, and how fast, on real architectures without their weights."""

from functools import cache
from typing import Any

import pytest
import torch

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.config.training import Stage
from dermtl.errors import ConfigError
from dermtl.model.backbone import Backbone
from dermtl.model.head import FeatureInfo, Features, Head
from dermtl.model.network import Network
from dermtl.training.optim.freezing import set_trainable
from dermtl.training.optim.layer_groups import backbone_groups, trainable_groups
from dermtl.training.optim.learning_rates import parameter_groups
from dermtl.training.optim.optimiser import build_optimiser


class LinearHead(Head):
    def __init__(self, config: Any, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.linear = torch.nn.Linear(features.num_pooled, 2)

    def forward(self, features: Features) -> torch.Tensor:
        return self.linear(features.pooled)

    def loss(self, raw: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"square": ((raw - target) ** 2).mean()}

    def activate(self, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"value": raw}


def make_network(name: str) -> Network:
    backbone = Backbone(BackboneConfig(name=name, pretrained=False, image_size=64))
    return Network(backbone, {"number": LinearHead(None, backbone.features)})


@cache
def known_network(name: str) -> Network:
    """Made once, for tests that only look; a large one has names and shapes only."""
    if name != "vgg11_bn":
        return make_network(name)
    with torch.device("meta"):
        return make_network(name)


EXPECTED = {
    "resnet18": ["conv1", "layer1", "layer2", "layer3", "layer4"],
    "mobilenetv2_100": ["conv_stem", "blocks.0"],
    "convnext_atto": ["stem", "stages.0.blocks", "stages.1", "stages.2", "stages.3"],
    "vit_tiny_patch16_224": ["patch_embed", "blocks.0"],
    "vgg11_bn": ["features.0"],
    "test_efficientnet": ["conv_stem"],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "vgg11_bn" else name for name in EXPECTED]
)
def test_groups_hold_every_parameter_once(name: str) -> None:
    network = known_network(name)
    groups = backbone_groups(network)
    held = [id(parameter) for group in groups for parameter in group.parameters.values()]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in network.backbone.parameters()}
    names = [group.name for group in groups]
    assert len(names) == len(set(names))
    assert all(names)
    for group in groups:
        known = dict(network.backbone.model.named_parameters())
        assert all(known[key] is parameter for key, parameter in group.parameters.items())


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "vgg11_bn"])
def test_groups_have_the_names_of_depth(name: str) -> None:
    names = [group.name for group in backbone_groups(known_network(name))]
    assert len(names) >= 4
    found = [wanted for wanted in EXPECTED[name] if any(got.startswith(wanted) for got in names)]
    assert found == EXPECTED[name]
    if name in ("resnet18", "convnext_atto"):
        assert names == EXPECTED[name]


def test_select() -> None:
    groups = backbone_groups(known_network("resnet18"))

    def chosen(train: str) -> list[str]:
        return [group.name for group in trainable_groups(Stage(train=train, epochs=1), groups)]

    assert chosen("head") == []
    assert chosen("all") == EXPECTED["resnet18"]
    assert chosen("last:1") == ["layer4"]
    assert chosen("last:2") == ["layer3", "layer4"]
    assert chosen("last:5") == EXPECTED["resnet18"]
    assert chosen("from:layer3") == ["layer3", "layer4"]
    with pytest.raises(ConfigError, match="5 groups: conv1"):
        chosen("last:6")
    with pytest.raises(ConfigError, match="groups: conv1, layer1"):
        chosen("from:layer")


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "vit_tiny_patch16_224"])
def test_rates_fall_towards_the_input_down_to_the_floor(name: str) -> None:
    network = known_network(name)
    groups = backbone_groups(network)
    stage = Stage(epochs=1, lr=1e-2, backbone_lr=1e-3, layer_decay=0.5)
    rates = {str(group["name"]): group["lr"] for group in parameter_groups(network, stage, groups)}
    assert rates.pop("heads.number") == 1e-2
    falling = [rates[group.name] for group in groups]
    assert falling == sorted(falling)
    assert falling[-1] == pytest.approx(0.5e-3)
    assert falling[-2] == pytest.approx(0.25e-3)
    assert min(falling) >= 1e-5
    if len(groups) > 8:
        assert falling[0] == pytest.approx(1e-5)
    even = parameter_groups(network, Stage(epochs=1, lr=1e-2), groups)
    assert {group["lr"] for group in even} == {1e-2}


def test_a_head_may_have_its_own_rate() -> None:
    network = known_network("test_resnet")
    groups = backbone_groups(network)
    built = parameter_groups(network, Stage(epochs=1, lr=1e-2, head_lrs={"number": 3e-2}), groups)
    assert {group["lr"] for group in built if group["name"] == "heads.number"} == {3e-2}
    assert {group["lr"] for group in built if group["name"] != "heads.number"} == {1e-2}
    with pytest.raises(ConfigError, match=r"nobody.*number"):
        parameter_groups(network, Stage(epochs=1, head_lrs={"nobody": 1e-2}), groups)


@pytest.mark.parametrize("schedule", ["cosine", "step", "poly", "tanh", "multistep", "constant", "none"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lamb", "lookahead_adamw", "adafactor"])
def test_layer_decay_arrives_after_a_step_of_the_schedule(optimizer: str, schedule: str) -> None:
    """Test vector 13: a schedule must not level what layer decay has set apart."""
    network = make_network("test_resnet")
    groups = backbone_groups(network)
    stage = Stage(epochs=4, lr=1e-2, layer_decay=0.5, optimizer=optimizer, schedule=schedule, warmup_epochs=1)
    optimiser, moved = build_optimiser(network, stage, groups, updates_per_epoch=3)
    for update in (1, 4, 9):
        if moved is not None:
            moved.step_update(update)
        rates = {group["name"]: group["lr"] for group in optimiser.param_groups}
        assert 0 < rates[groups[0].name] < rates[groups[-1].name] < rates["heads.number"] <= 1e-2
        ratio = rates[groups[-1].name] / rates["heads.number"]
        if schedule != "tanh":
            assert ratio == pytest.approx(0.5)


def test_the_rates_move_the_weights_accordingly() -> None:
    """Plain gradient descent with a gradient of one everywhere moves each weight by its own rate."""
    network = make_network("test_resnet")
    groups = backbone_groups(network)
    stage = Stage(epochs=1, lr=1e-2, layer_decay=0.5, optimizer="sgd", schedule="constant", weight_decay=0)
    optimiser, moved = build_optimiser(network, stage, groups, updates_per_epoch=1)
    moved.step_update(0)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    shift = {name: float((before[name] - value.detach()).mean()) for name, value in network.named_parameters()}
    assert shift["heads.number.linear.weight"] > 0
    stem = next(iter(groups[0].parameters))
    final = next(iter(groups[-1].parameters))
    expected = 0.5 ** len(groups) / 0.5
    assert shift[f"backbone.model.{stem}"] / shift[f"backbone.model.{final}"] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("optimizer", "schedule"), [("adamm", "cosine"), ("adamw", "cosinus"), ("adamw", "plateau")])
def test_unknown_optimisers_and_schedules_are_refused(optimizer: str, schedule: str) -> None:
    network = known_network("test_resnet")
    stage = Stage(epochs=1, optimizer=optimizer, schedule=schedule)
    with pytest.raises(ConfigError, match=f"{optimizer}|{schedule}"):
        build_optimiser(network, stage, backbone_groups(network), updates_per_epoch=1)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_vectors_are_not_decayed(name: str) -> None:
    network = known_network(name)
    built = parameter_groups(network, Stage(epochs=1, weight_decay=0.1), backbone_groups(network))
    decays = {id(p): group["weight_decay"] for group in built for p in group["params"]}  # type: ignore[attr-defined]
    exempt = {"pos_embed", "cls_token"} if name == "test_vit" else set()  # timm's own exemptions
    for key, parameter in network.named_parameters():
        decayed = parameter.ndim >= 2 and key.removeprefix("backbone.model.") not in exempt
        assert decays[id(parameter)] == (0.1 if decayed else 0.0)


def train_a_little(network: Network, stage: Stage) -> None:
    groups = backbone_groups(network)
    optimiser, _ = build_optimiser(network, stage, groups, updates_per_epoch=2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        network.train()
        set_trainable(network, trainable_groups(stage, groups))
        images = torch.randint(0, 256, (4, 3, 64, 64), generator=generator, dtype=torch.uint8)
        head = network.heads["number"]
        assert isinstance(head, Head)
        loss = head.loss(network(images)["number"], torch.full((4, 2), 3.0))["square"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
@pytest.mark.parametrize("train", ["head", "last:1", "all"])
def test_what_is_frozen_stays_bit_by_bit(name: str, train: str) -> None:
    torch.manual_seed(0)
    network = make_network(name)
    groups = backbone_groups(network)
    stage = Stage(train=train, epochs=1, lr=1e-2, weight_decay=0.1, schedule="constant")
    learning = {f"backbone.model.{key}" for group in trainable_groups(stage, groups) for key in group.parameters}
    learning |= {key for key, _ in network.named_parameters() if key.startswith("heads.")}
    modules = {key.rpartition(".")[0] for key in learning}
    before = {key: value.clone() for key, value in network.state_dict().items()}
    train_a_little(network, stage)
    after = network.state_dict()
    for key, value in before.items():
        owner = key.rpartition(".")[0]
        if key in learning:
            continue
        if owner in modules:  # running statistics of a norm that learns
            continue
        assert torch.equal(after[key], value), f"{key} moved"
    moved = {key for key in learning if not torch.equal(after[key], before[key])}
    assert len(moved) > 0.9 * len(learning)
    if train == "all" and name in ("test_resnet", "test_efficientnet"):
        means = [key for key in before if key.endswith("running_mean")]
        assert means
        assert all(not torch.equal(after[key], before[key]) for key in means)


def test_freezing_is_undone_by_the_next_stage() -> None:
    network = make_network("test_resnet")
    groups = backbone_groups(network)
    set_trainable(network, [])
    assert not any(parameter.requires_grad for parameter in network.backbone.parameters())
    assert not any(module.training for module in network.backbone.modules())
    network.train()
    set_trainable(network, groups)
    assert all(parameter.requires_grad for parameter in network.backbone.parameters())
    assert all(module.training for module in network.modules())
