"""What stands beside pretrained weights: the experiment takes its normalisation from there, unless it gives one."""

import json

import pytest

from dermtl.config.load import load_experiment
from dermtl.config.weights import read_stated
from dermtl.errors import ConfigError

TEXT = """\
name: x
backbone: {{name: resnet18, pretrained: {weights}{more}}}
heads: {{label: {{type: classification}}}}
training: {{stages: [{{epochs: 1}}]}}
"""
LEVELS = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}


def levels(tmp_path, weights, more=""):
    (tmp_path / "e.yaml").write_text(TEXT.format(weights=weights, more=more))
    backbone = load_experiment(tmp_path / "e.yaml")[0].backbone
    return backbone.mean, backbone.std


def test_a_json_file_of_the_same_name(tmp_path):
    (tmp_path / "w.json").write_text(json.dumps({**LEVELS, "licence": "cc-by-4.0"}))
    assert levels(tmp_path, tmp_path / "w.safetensors") == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert read_stated(tmp_path / "w.safetensors", "resnet18").licence == "cc-by-4.0"
    assert levels(tmp_path, tmp_path / "w.safetensors", ", mean: [0.7, 0.7, 0.7]") == ((0.7,) * 3, (0.4, 0.5, 0.6))


def test_the_layout_of_timms_hub(tmp_path):
    content = {"architecture": "resnet18", "pretrained_cfg": {**LEVELS, "license": "apache-2.0"}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert levels(tmp_path, tmp_path / "model.safetensors") == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    (tmp_path / "config.json").write_text(json.dumps({**content, "architecture": "resnet50"}))
    assert levels(tmp_path, tmp_path / "model.safetensors") == (None, None)


def test_the_folder_of_a_run(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(f"backbone: {json.dumps(LEVELS)}")
    assert levels(tmp_path, run) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_nothing_is_stated(tmp_path):
    assert levels(tmp_path, tmp_path / "gone.safetensors") == (None, None)
    assert levels(tmp_path, "true") == (None, None)


@pytest.mark.parametrize("text", ["{", "[1]", '{"pretrained_cfg": 3}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(ConfigError, match=r"cannot read .*w\.json"):
        read_stated(tmp_path / "w.pth", "resnet18")
