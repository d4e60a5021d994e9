"""What is told of a backbone before it is trained."""

import pytest
import timm

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import ConfigError
from dermtl.model.backbone import Backbone
from dermtl.model.card import ModelCard, bare_backbone, model_card
from dermtl.model.network import Network
from dermtl.training.optim.layer_groups import backbone_groups


def card(name: str, image_size: int | None = None) -> ModelCard:
    backbone = bare_backbone(name, image_size)
    groups = [(g.name, sum(p.numel() for p in g.parameters.values())) for g in backbone_groups(Network(backbone, {}))]
    return model_card(name, backbone, groups)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet", "mobilenetv2_100"])
def test_the_numbers_are_those_of_the_model(name: str) -> None:
    found = card(name)
    model = timm.create_model(name, num_classes=0)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.parameters == sum(group.parameters for group in found.groups)
    assert found.pooled == Backbone(BackboneConfig(name=name, pretrained=False)).features.num_pooled
    assert len(found.channels) == len(found.reductions)
    assert [group.selector for group in found.groups] == [f"last:{k}" for k in range(len(found.groups), 0, -1)]


def test_size_and_normalisation_are_those_of_the_weights() -> None:
    found = card("test_vit")
    stated = timm.get_pretrained_cfg("test_vit")
    assert found.image_size == found.pretrained_size == stated.input_size[-1]
    assert (found.mean, found.std, found.fixed_size) == (stated.mean, stated.std, True)
    assert (found.weights, found.licence) == (stated.tag, stated.license)
    larger = card("test_vit", 192)
    assert (larger.image_size, larger.pretrained_size) == (192, found.pretrained_size)


def test_a_licence_that_forbids_trade_is_told() -> None:
    assert card("convnextv2_atto").licence == "cc-by-nc-4.0"


def test_where_timm_has_no_weights_none_are_told() -> None:
    found = card("ghostnet_050", 64)
    assert (found.weights, found.licence, found.image_size) == ("", "", 64)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("resnet_50", None, r"timm knows no model 'resnet_50' \(near: resnet50"),
        ("resnet50.bogus", None, r"timm knows no weights 'resnet50\.bogus' \(known: .*resnet50\.a1_in1k"),
        ("levit_128s", 100, r"backbone\.image_size: levit_128s does not take 100 px"),
    ],
)
def test_what_there_is_not(name: str, size: int | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        bare_backbone(name, size)
