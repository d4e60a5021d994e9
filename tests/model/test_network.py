"""Normalisation, backbone and heads as one; the way from a picture to values in its own frame."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import ConfigError, TrainingError
from dermtl.kinds import Circle, Kind, Mask
from dermtl.model.backbone import Backbone
from dermtl.model.head import FeatureInfo, Features, Head
from dermtl.model.network import Network
from dermtl.model.predictor import NetworkPredictor, restore_batch
from dermtl.runs.folder import RunFolder, load_run

SIZE = 64


class MiddleHead(Head):
    """A circle in the middle of the network's frame, whatever it is shown."""

    def __init__(self, config: Any, features: FeatureInfo) -> None:
        super().__init__(config, features)
        self.layer = torch.nn.Linear(features.num_pooled, 3)
        self.size = features.image_size

    def forward(self, features: Features) -> Tensor:
        return self.layer(features.pooled)

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"square": ((raw - target) ** 2).mean()}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        return {"circle": raw * 0 + torch.tensor([self.size / 2, self.size / 2, self.size / 4])}


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    backbone = Backbone(BackboneConfig(name="test_resnet", pretrained=False, image_size=SIZE))
    return Network(backbone, {"spot": MiddleHead(None, backbone.features)}).eval()


def test_the_network_normalises_by_itself(network: Network) -> None:
    image = torch.randint(0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8)
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (network.backbone.mean, network.backbone.std))
    with torch.no_grad():
        normalised = (image / 255.0 - mean) / std
        pooled = network.backbone.model.forward_head(
            network.backbone.model.forward_features(normalised), pre_logits=True
        )
        wanted = network.heads["spot"](Features(pooled, network.backbone(image).maps))
        torch.testing.assert_close(network(image)["spot"], wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network(image.float())["spot"], network(image)["spot"])


def test_outputs_are_named_and_float32(network: Network) -> None:
    outputs = network.activate({"spot": torch.zeros(2, 3, dtype=torch.bfloat16)})
    assert list(outputs) == ["spot.circle"]
    assert outputs["spot.circle"].dtype == torch.float32


def test_normalisation_is_not_part_of_the_weights(network: Network) -> None:
    assert not [name for name in network.state_dict() if name.endswith(("_offset", "_scale"))]


def test_values_lie_in_each_pictures_own_frame(network: Network) -> None:
    predictor = NetworkPredictor(network, {"spot.circle": Circle()}, SIZE)
    shapes = [(100, 300), (300, 100), (64, 64)]
    values = predictor.predict_values([np.zeros((*hw, 3), np.uint8) for hw in shapes])
    for (height, width), value in zip(shapes, values, strict=True):
        np.testing.assert_allclose(value["spot.circle"], [width / 2, height / 2, max(height, width) / 4], rtol=1e-5)


def test_masks_are_restored_to_each_pictures_size() -> None:
    kinds: dict[str, Kind] = {"outline.mask": Mask()}
    left = torch.zeros(2, 1, SIZE, SIZE)
    left[..., : SIZE // 2] = 1
    found = restore_batch({"outline.mask": left}, kinds, [(50, 90), (120, 60)], SIZE)
    for value, (height, width) in zip(found, [(50, 90), (120, 60)], strict=True):
        mask = value["outline.mask"]
        assert mask.shape == (1, height, width)
        assert mask[0, :, : width // 2 - 3].min() > 0.9
        assert mask[0, :, width // 2 + 3 :].max() < 0.1


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run"):
        load_run(tmp_path)
    with pytest.raises(TrainingError, match="not a run"):
        _ = RunFolder(tmp_path).facts


def test_metrics_with_columns_that_come_later(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_metrics([{"epoch": 1, "a": 0.5}, {"epoch": 2, "a": 0.25, "b": 1.0}])
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["epoch,a,b", "1,0.5,", "2,0.25,1.0"]
