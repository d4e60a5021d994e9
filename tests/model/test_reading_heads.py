"""A head that sees another's activated outputs, in whatever order the experiment lists them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import ConfigError
from dermtl.model.backbone import Backbone
from dermtl.model.head import FeatureInfo, Features, Head
from dermtl.model.network import Network

SIZE = 32


class Source(Head):
    """Squares the mean of a picture's features."""

    def forward(self, features: Features) -> Tensor:
        assert not features.outputs
        return features.pooled.mean(dim=1, keepdim=True)

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        return {"square": raw**2}


class Reader(Head):
    """Says again what another head answered, plus one."""

    def __init__(self, config: Any, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.output = config

    def forward(self, features: Features) -> Tensor:
        assert list(features.outputs) == [self.output]
        return features.outputs[self.output] + 1

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        return {"square": raw}


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    return Backbone(BackboneConfig(name="test_resnet", pretrained=False, image_size=SIZE))


def test_readers_run_after_their_sources_and_outputs_keep_the_order(backbone: Backbone) -> None:
    info = backbone.features
    heads = {"last": Reader("middle.square", info), "middle": Reader("first.square", info), "first": Source(None, info)}
    network = Network(backbone, heads, {"last": ["middle"], "middle": ["first"]}).eval()
    images = torch.randint(0, 256, (3, 3, SIZE, SIZE), dtype=torch.uint8)
    with torch.no_grad():
        raw = network(images)
        outputs = network.activate(raw)
        pooled = backbone(images).pooled
        again = network.run_heads(backbone(images))
    assert list(raw) == list(again) == ["last", "middle", "first"]
    assert list(outputs) == ["last.square", "middle.square", "first.square"]
    square = pooled.mean(dim=1, keepdim=True) ** 2
    torch.testing.assert_close(outputs["first.square"], square)
    torch.testing.assert_close(outputs["last.square"], square + 2)


def test_heads_that_read_one_another_are_refused(backbone: Backbone) -> None:
    heads = {name: Source(None, backbone.features) for name in ("a", "b")}
    with pytest.raises(ConfigError, match="in a circle"):
        Network(backbone, heads, {"a": ["b"], "b": ["a"]})
