"""``dermtl model show``."""

import json

from timm import get_pretrained_cfg


def test_a_backbone_is_shown(call):
    done = call("model", "show", "test_resnet", "--image-size", "64")
    assert (done.code, done.err) == (0, "")
    stated = get_pretrained_cfg("test_resnet")
    assert f"{stated.tag}, at {stated.input_size[-1]} px, licence {stated.license}" in done.out
    lines = done.out.splitlines()
    assert lines[-1].split()[-1] == "last:1"
    assert any(line.startswith("input ") and "64 px" in line for line in lines)


def test_as_json(call):
    done = call("model", "show", "test_vit", "--json")
    card = json.loads(done.out)
    assert card["name"] == "test_vit"
    assert card["fixed_size"] is True
    assert card["parameters"] == sum(group["parameters"] for group in card["groups"])
    assert card["groups"][-1]["selector"] == "last:1"


def test_no_weights_are_fetched(call, monkeypatch):
    import timm.models._builder as builder

    def refuse(*args: object, **keys: object) -> None:
        raise AssertionError("weights were asked for")

    monkeypatch.setattr(builder, "load_pretrained", refuse)
    assert call("model", "show", "test_resnet").code == 0


def test_an_unknown_name_brings_near_ones(call):
    done = call("model", "show", "resnet_50")
    assert done.code == 2
    assert "resnet50" in done.err
    assert len(done.err.splitlines()) == 1
