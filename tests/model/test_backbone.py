"""Any timm model as a source of pooled features and maps, and its stored weights."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import ConfigError
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.model.backbone import Backbone

FAMILIES = {
    "resnet10t": (512, (2, 4, 8, 16, 32)),
    "mobilenetv2_100": (1280, (2, 4, 8, 16, 32)),
    "test_efficientnet": (256, (2, 4, 8, 16, 32)),
    "test_convnext": (64, (4, 8, 16, 32)),
    "test_vit": (64, (16,)),
    "vit_tiny_patch16_224": (192, (16,)),
}


def config(name: str, **keys: object) -> BackboneConfig:
    return BackboneConfig(**{"name": name, "pretrained": False, "image_size": 64, **keys})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(FAMILIES))
def test_features_are_as_announced(name: str) -> None:
    backbone = Backbone(config(name)).eval()
    info = backbone.features
    width, reductions = FAMILIES[name]
    assert info.num_pooled == width
    assert info.reductions == reductions
    assert info.image_size == 64
    with torch.no_grad():
        found = backbone(torch.randn(2, 3, 64, 64))
    assert found.pooled.shape == (2, width)
    assert len(found.maps) == len(info.channels) == len(reductions)
    for values, channels, reduction in zip(found.maps, info.channels, reductions, strict=True):
        assert values.shape == (2, channels, 64 // reduction, 64 // reduction)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext"])
def test_pooled_features_are_what_the_classifier_reads(name: str) -> None:
    torch.manual_seed(0)
    backbone = Backbone(config(name)).eval()
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(levels).view(1, 3, 1, 1) for levels in (backbone.mean, backbone.std))
    with torch.no_grad():
        torch.testing.assert_close(backbone(image).pooled, backbone.model((image / 255 - mean) / std))


def test_building_leaves_no_trace_of_the_probe() -> None:
    """The probing pass must neither move running statistics nor leave the model in another mode."""
    backbone = Backbone(config("test_resnet"))
    assert backbone.training
    for name, value in backbone.state_dict().items():
        if name.endswith("running_mean"):
            assert not value.any()


def test_normalisation_is_the_models_or_the_experiments() -> None:
    assert Backbone(config("resnet10t")).mean == timm.get_pretrained_cfg("resnet10t").mean
    own = Backbone(config("resnet10t", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)))
    assert own.mean == (0.1, 0.2, 0.3)
    assert own.std == (0.4, 0.5, 0.6)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    return path


def test_stored_weights_are_taken(stored: Path) -> None:
    backbone = Backbone(config("test_resnet", pretrained=stored))
    wanted = load_file(stored)
    found = backbone.model.state_dict()
    assert found
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())
    assert backbone.licence == ""


def test_weights_are_not_read_where_a_runs_own_follow(tmp_path: Path) -> None:
    Backbone(config("test_resnet", pretrained=tmp_path / "gone.safetensors"), pretrained=False)


@pytest.mark.parametrize("case", ["missing", "pickle", "other model", "some missing", "damaged"])
def test_weights_that_cannot_be_had_name_the_key(stored: Path, tmp_path: Path, case: str) -> None:
    path = tmp_path / "w.safetensors"
    if case == "pickle":
        path = tmp_path / "w.pth"
        torch.save({}, path)
    elif case == "other model":
        save_file(timm.create_model("test_vit").state_dict(), path)
    elif case == "some missing":
        state = load_file(stored)
        layer = max(key for key in state if key.endswith("conv1.weight"))
        save_file({key: value for key, value in state.items() if key != layer}, path)
    elif case == "damaged":
        path.write_bytes(stored.read_bytes()[:-100])
    with pytest.raises(ConfigError, match=r"^backbone\.pretrained") as caught:
        Backbone(config("test_resnet", pretrained=path))
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_brings_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"^backbone\.name.*resnet_50") as caught:
        Backbone(config("resnet_50"))
    assert "resnet50" in caught.value.hint


def test_options_reach_timm() -> None:
    assert Backbone(config("test_resnet", options={"in_chans": 3, "output_stride": 16})).features.reductions[-1] == 16
    with pytest.raises(ConfigError, match=r"^backbone\.options.*nonsense"):
        Backbone(config("test_resnet", options={"nonsense": 1}))


def test_real_weights_give_the_features_of_timm(shared: Path) -> None:
    weights = shared / "weights" / "mobilenetv2_100.in1k.safetensors"
    if not weights.is_file():
        pytest.skip("needs the real weights in ../shared/weights")
    half = (0.5, 0.5, 0.5)
    backbone = Backbone(config("mobilenetv2_100", pretrained=weights, image_size=224, mean=half, std=half)).eval()
    reference = timm.create_model("mobilenetv2_100", num_classes=0)
    reference.load_state_dict({k: v for k, v in load_file(weights).items() if not k.startswith("classifier")})
    photo = next((shared / "data" / "natural_photos" / "images").iterdir())
    pixels = read_image(photo)
    boxed = Letterbox((pixels.shape[0], pixels.shape[1]), 224).apply(pixels)
    levels = torch.from_numpy(boxed.astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        found, wanted = backbone(levels).pooled, reference.eval()(levels / 127.5 - 1)
    assert float(wanted.abs().max()) > 0.5
    torch.testing.assert_close(found, wanted)
