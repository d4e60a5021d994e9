"""A hub that cannot be reached is found out at once, and never asked for a minute."""

import socket

import pytest
from huggingface_hub import constants

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import ConfigError
from dermtl.model.backbone import Backbone
from dermtl.model.hub import reachable_hub


@pytest.fixture
def asked(monkeypatch):
    """Hosts and ports that were tried; nothing answers."""
    tried: list[tuple[str, int]] = []

    def refuse(address, timeout=None, **_):
        tried.append(address)
        raise OSError("no route to host")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return tried


def test_weights_that_cannot_be_had_fail_without_retries(asked, caplog):
    with pytest.raises(ConfigError, match=r"^backbone\.pretrained: cannot load weights of resnet10t from timm's hub"):
        Backbone(BackboneConfig(name="resnet10t", pretrained=True, image_size=64))
    assert len(asked) == 1
    assert "Retry" not in caplog.text
    assert not constants.HF_HUB_OFFLINE  # the next try, when the network is back, asks again


def test_a_mirror_is_tried_in_place_of_the_hub(asked, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example:8080")
    with reachable_hub():
        assert constants.HF_HUB_OFFLINE
    assert asked == [("mirror.example", 8080)]


def test_nothing_is_tried_behind_a_proxy_or_offline(asked, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    with reachable_hub():
        assert not constants.HF_HUB_OFFLINE
    monkeypatch.delenv("https_proxy")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with reachable_hub():
        assert constants.HF_HUB_OFFLINE
    assert asked == []
