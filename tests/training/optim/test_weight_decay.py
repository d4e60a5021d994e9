"""What is exempt from weight decay is what timm's own groups leave undecayed."""

from functools import cache
from typing import Any

import pytest
import timm
import torch
from timm.optim import param_groups_weight_decay
from torch import nn

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.config.experiment import Lora
from dermtl.config.training import Stage
from dermtl.model.backbone import Backbone
from dermtl.model.lora import add_lora, is_addition
from dermtl.model.network import Network
from dermtl.training.optim.layer_groups import backbone_groups
from dermtl.training.optim.learning_rates import parameter_groups
from dermtl.training.optim.weight_decay import undecayed

# A class token, registers, bias tables of a window, names with a wildcard, names from the parameters, none at all.
MODELS = {
    "vit_tiny_patch16_224": {"cls_token", "pos_embed"},
    "swin_tiny_patch4_window7_224": {"layers.0.blocks.0.attn.relative_position_bias_table"},
    "swinv2_tiny_window8_256": set(),
    "convnext_atto": set(),
    "xcit_nano_12_p16_224": {"cls_token"},
    "efficientformer_l1": set(),
    "twins_svt_small": set(),
    "resnet18": set(),
    "test_vit": set(),
}


@cache
def known(name: str) -> Any:
    return timm.create_model(name, num_classes=0)


def timms_undecayed(model: Any) -> set[int]:
    listed = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    groups = param_groups_weight_decay(model, 0.05, no_weight_decay_list=listed)
    return {id(parameter) for group in groups if not group["weight_decay"] for parameter in group["params"]}


@pytest.mark.parametrize("name", MODELS)
def test_it_is_what_timm_leaves_out(name: str) -> None:
    model = known(name)
    found = undecayed(model)
    assert found == timms_undecayed(model)
    names = {key for key, parameter in model.named_parameters() if id(parameter) in found}
    assert MODELS[name] <= names
    assert names != set(dict(model.named_parameters()))


class Wrapped(nn.Module):
    """A model below another name."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"model": model})


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_wrapper_changes_nothing(name: str) -> None:
    assert undecayed(Wrapped(Wrapped(known(name)))) == timms_undecayed(known(name))


@pytest.mark.parametrize(
    ("name", "size"), [("vit_tiny_patch16_224", 224), ("swin_tiny_patch4_window7_224", 224), ("convnext_atto", 64)]
)
def test_a_stage_decays_what_timm_decays(name: str, size: int) -> None:
    backbone = Backbone(BackboneConfig(name=name, pretrained=False, image_size=size))
    network = Network(backbone, {})
    groups = parameter_groups(network, Stage(train="all", epochs=1, weight_decay=0.05), backbone_groups(network))
    decayed: set[int] = set()
    for group in groups:
        assert group["weight_decay"] in (0.0, 0.05)
        if group["weight_decay"]:
            decayed |= {id(parameter) for parameter in group["params"]}  # type: ignore[attr-defined]
    every = {id(parameter) for parameter in backbone.model.parameters()}
    assert decayed == every - timms_undecayed(backbone.model)


def test_low_rank_additions_are_decayed_and_hide_no_exempt_name() -> None:
    pytest.importorskip("peft")
    model = timm.create_model("test_vit", num_classes=0)
    before = {name for name, parameter in model.named_parameters() if id(parameter) in undecayed(model)}
    add_lora(model, Lora(rank=2, alpha=2.0, layers=["qkv", "proj"]))
    after = {name for name, parameter in model.named_parameters() if id(parameter) in undecayed(model)}
    assert {name.replace(".base_layer.", ".") for name in after} == before
    assert not any(is_addition(name) for name in after)


def test_a_listed_layer_is_exempt_under_its_additions() -> None:
    class Stating(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Module()
            self.table.base_layer = nn.Linear(2, 2)
            self.grid = nn.Parameter(torch.zeros(2, 2))

        def no_weight_decay(self) -> set[str]:
            return {"table.weight"}

    model = Stating()
    names = {name for name, parameter in model.named_parameters() if id(parameter) in undecayed(model)}
    assert names == {"table.base_layer.weight", "table.base_layer.bias"}
