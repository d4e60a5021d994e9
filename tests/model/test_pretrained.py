"""Weights from files of many layouts: the features are those of the network that was saved, or the file is refused."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.errors import ConfigError
from dermtl.model.backbone import Backbone

SIZES = {"test_resnet": 64, "test_vit": 64, "test_convnext": 64, "test_efficientnet": 64}


def saved(name: str, **options: Any) -> Any:
    """A network of timm's with random weights and statistics, as somebody else trained it."""
    torch.manual_seed(11)
    model = timm.create_model(name, **options).eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.randn_like(value) * 0.1 + (1.0 if key.endswith("running_var") else 0.0)).abs_()
    return model


def features(model: Any, image: Tensor) -> Tensor:
    """timm's own forward: normalised by what timm states, before the classifier."""
    mean, std = (torch.tensor(model.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        found: Tensor = model.forward_head(model.forward_features((image / 255 - mean) / std), pre_logits=True)
    return found.flatten(1)


def load(path: Path, name: str, **keys: Any) -> Backbone:
    return Backbone(BackboneConfig(name=name, pretrained=path, image_size=SIZES.get(name, 64), **keys)).eval()


def require_equal(path: Path, name: str, model: Any) -> None:
    image = torch.randint(0, 256, (2, 3, SIZES[name], SIZES[name]), dtype=torch.uint8)
    backbone = load(path, name)
    with torch.no_grad():
        torch.testing.assert_close(backbone(image).pooled, features(model, image), rtol=1e-5, atol=1e-5)


def prefixed(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value.clone() for key, value in state.items()}


@pytest.mark.parametrize("name", list(SIZES))
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin"])
def test_a_plain_file(tmp_path, name, suffix):
    model, path = saved(name), tmp_path / f"w{suffix}"
    save_file(model.state_dict(), path) if suffix == ".safetensors" else torch.save(model.state_dict(), path)
    require_equal(path, name, model)


@pytest.mark.parametrize(
    "prefix", ["module.", "backbone.", "model.", "encoder_q.", "student.backbone.", "_feature_model.", "net.", "a.b.c."]
)
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_a_prefix_before_every_key(tmp_path, name, prefix):
    model = saved(name)
    state = prefixed(model.state_dict(), prefix) | {"projector.0.weight": torch.ones(3, 3), "queue": torch.ones(5)}
    torch.save(state, tmp_path / "w.pth")
    require_equal(tmp_path / "w.pth", name, model)


@pytest.mark.parametrize("part", ["state_dict", "model", "model_ema", "state_dict_ema", "teacher"])
def test_a_part_of_the_file(tmp_path, part):
    model = saved("test_resnet")
    optimiser = {"state": {0: {"exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": 3, part: prefixed(model.state_dict(), "module."), "optimizer": optimiser}, tmp_path / "w.pth")
    require_equal(tmp_path / "w.pth", "test_resnet", model)


@pytest.mark.parametrize(
    ("averaged", "last"), [("model_ema", "model"), ("state_dict_ema", "state_dict"), ("teacher", "student")]
)
def test_averaged_weights_come_before_the_last(tmp_path, averaged, last):
    model = saved("test_resnet")
    other = {key: value + 1 if value.is_floating_point() else value for key, value in model.state_dict().items()}
    torch.save({last: other, averaged: model.state_dict()}, tmp_path / "w.pth")
    require_equal(tmp_path / "w.pth", "test_resnet", model)


def test_counters_of_batches_may_be_missing(tmp_path):
    model = saved("test_resnet")
    save_file({k: v for k, v in model.state_dict().items() if "num_batches" not in k}, tmp_path / "w.safetensors")
    require_equal(tmp_path / "w.safetensors", "test_resnet", model)


@pytest.mark.parametrize("ends", ["running_mean", "running_var", "bn1.weight", "bn1.bias"])
def test_statistics_and_biases_that_are_missing_are_refused(tmp_path, ends):
    state = {key: value for key, value in saved("test_resnet").state_dict().items() if not key.endswith(ends)}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=rf"w\.safetensors lacks \d+ of \d+ tensors of test_resnet \(.*{ends}"):
        load(tmp_path / "w.safetensors", "test_resnet")


def test_layer_scale_that_the_model_lacks_is_refused_and_the_option_takes_it(tmp_path):
    model = saved("test_vit", init_values=1e-5)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=r"holds \d+ that have no place in it \(blocks\.0\.ls1\.gamma") as caught:
        load(tmp_path / "w.safetensors", "test_vit")
    assert "init_values" in caught.value.hint
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        found = load(tmp_path / "w.safetensors", "test_vit", options={"init_values": 1e-5})(image).pooled
    torch.testing.assert_close(found, features(model, image), rtol=1e-5, atol=1e-5)


def test_a_deeper_network_is_refused(tmp_path):
    save_file(timm.create_model("resnet34").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=r"holds \d+ that have no place in it \(layer1\.2"):
        load(tmp_path / "w.safetensors", "resnet18")


def test_a_norm_of_another_name_is_refused(tmp_path):
    state = {key.replace("norm.", "fc_norm.", 1) if key.startswith("norm.") else key: value
             for key, value in saved("test_vit").state_dict().items()}  # fmt: skip
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(
        ConfigError, match=r"lacks 2 of \d+ tensors of test_vit \(norm\.weight, norm\.bias\) and holds 2"
    ) as caught:
        load(tmp_path / "w.safetensors", "test_vit")
    assert "global_pool: avg" in caught.value.hint


def test_another_width_is_refused_with_both_sizes(tmp_path):
    state = dict(saved("test_resnet").state_dict())
    key = next(key for key in state if key.endswith("conv2.weight"))
    wanted = "x".join(map(str, state[key].shape))
    state[key] = torch.cat([state[key], state[key]])
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=rf"1 of another size \({key} .* instead of {wanted}\)"):
        load(tmp_path / "w.safetensors", "test_resnet")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil()))
    torch.save({"model": Evil()}, tmp_path / "v.pth")
    for name in ("w.pth", "v.pth"):
        with pytest.raises(ConfigError, match=f"cannot read {name}"):
            load(tmp_path / name, "test_resnet")
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize(("name", "size"), [("vit_tiny_patch16_224", 230), ("vit_small_patch14_dinov2", 256)])
def test_sizes_of_parts_of_patches_are_refused(name, size):
    with pytest.raises(ConfigError, match=rf"backbone\.image_size: {size} is no multiple"):
        Backbone(BackboneConfig(name=name, pretrained=False, image_size=size))


def test_a_run_seeds_a_run(tmp_path, caplog):
    """The folder of a run: its backbone, its normalisation, and not its heads."""
    model = saved("test_resnet")
    state = prefixed(model.state_dict(), "backbone.model.") | {"heads.x.weight": torch.ones(2, 2)}
    save_file(state, tmp_path / "best.safetensors")
    (tmp_path / "config.yaml").write_text("backbone: {name: test_resnet, mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6]}")
    with caplog.at_level("INFO"):
        backbone = load(tmp_path, "test_resnet")
    assert all(torch.equal(value, state[f"backbone.model.{key}"]) for key, value in backbone.model.state_dict().items())
    assert "prefix 'backbone.model.', 3 tensors left out (heads.x.weight, " in caplog.text
