"""Low-rank additions: no effect at first, the only thing that learns, gone from what is loaded."""

from pathlib import Path

import pytest
import torch

from dermtl.config.experiment import Backbone as BackboneConfig
from dermtl.config.experiment import Lora
from dermtl.errors import ConfigError
from dermtl.model.backbone import Backbone
from dermtl.model.lora import add_lora, is_addition, merge_lora

pytest.importorskip("peft", reason="needs the extra lora")


def make() -> Backbone:
    torch.manual_seed(0)
    return Backbone(BackboneConfig(name="test_vit", pretrained=False, image_size=64)).eval()


def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_additions_start_at_no_effect_and_merge_into_the_weights() -> None:
    backbone = make()
    plain = backbone(pictures()).pooled
    names = list(backbone.model.state_dict())
    add_lora(backbone.model, Lora(rank=2, layers=["qkv", "proj"]))
    torch.testing.assert_close(backbone(pictures()).pooled, plain)
    additions = [parameter for name, parameter in backbone.model.named_parameters() if is_addition(name)]
    assert additions
    with torch.no_grad():
        for parameter in additions:
            parameter.normal_()
    moved = backbone(pictures()).pooled.detach()
    assert not torch.allclose(moved, plain)
    merge_lora(backbone.model)
    assert list(backbone.model.state_dict()) == names
    torch.testing.assert_close(backbone(pictures()).pooled, moved, rtol=1e-4, atol=1e-4)


def test_an_unknown_layer_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="qvk") as caught:
        add_lora(make().model, Lora(layers=["qvk"]))
    assert "qkv" in caught.value.hint


def test_only_additions_and_heads_learn(drawn: Path, tmp_path: Path) -> None:
    """A whole run: the backbone's own weights come out as they went in, and the run loads without additions."""
    from safetensors.torch import load_file

    from dermtl.runs.folder import load_run
    from dermtl.training.train import train

    config = tmp_path / "lora.yaml"
    config.write_text(
        f"""\
name: lora
data: {{root: {drawn}}}
backbone: {{name: test_vit, pretrained: false, image_size: 64, lora: {{rank: 2, layers: [qkv, fc1]}}}}
heads: {{diagnosis: {{type: classification}}}}
training:
  stages: [{{train: all, epochs: 1, lr: 1e-2}}]
  workers: 0
  accelerator: cpu
"""
    )
    run = train(config, run=tmp_path / "run")
    from dermtl.training.train import train as again

    first = again(config, ["training.stages.0.lr=1e-12"], run=tmp_path / "first")
    one, other = load_file(run.last), load_file(first.last)
    moved = {name for name, value in one.items() if not torch.equal(value, other[name])}
    backbone = {name for name in moved if name.startswith("backbone")}
    assert backbone
    assert all(is_addition(name) for name in backbone)
    assert not any(is_addition(name) for name in load_run(run.path).network.state_dict())
