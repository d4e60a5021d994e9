from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from dermtl.config.experiment import Data, Experiment, Split
from dermtl.config.load import load_experiment, validate
from dermtl.config.source import parse_source
from dermtl.errors import ConfigError

GOOD = """\
name: demo
data:
  root: data/demo
backbone:
  name: resnet18
heads:
  diagnosis:
    type: category
    own_key: [1, 2]
training:
  stages:
    - {train: head, epochs: 1}
    - {epochs: 2, lr: 1e-4}
"""


def load(tmp_path: Path, text: str = GOOD, *overrides: str) -> Experiment:
    path = tmp_path / "e.yaml"
    path.write_text(text)
    return load_experiment(path, overrides)[0]


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    experiment = load(tmp_path)
    assert experiment.data.root == Path("data/demo")
    assert experiment.training.stages[1].lr == 1e-4
    assert experiment.heads["diagnosis"].model_extra == {"own_key": [1, 2]}
    dumped = yaml.safe_dump(experiment.model_dump(mode="json"))
    assert load(tmp_path, dumped) == experiment


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("root: data", "rot: data", r"e\.yaml:3:3: data\.rot: unknown key; did you mean 'root'\?"),
        ("name: resnet18", "nme: resnet18", r"e\.yaml:4:1: backbone\.name: this key is required"),
        ("lr: 1e-4", "lrr: 1e-4", r"e\.yaml:13:19: training\.stages\.1\.lrr: unknown key; did you mean 'lr'\?"),
        ("lr: 1e-4", "lr: -1", r"e\.yaml:13:19: training\.stages\.1\.lr: .*greater than 0, got -1"),
        ("train: head", "train: body", r"e\.yaml:12:8: training\.stages\.0\.train: .*got 'body'"),
        ("epochs: 1}", "epochs: 1.5}", r"e\.yaml:12:21: training\.stages\.0\.epochs: .*integer.*got 1\.5"),
        ("  diagnosis:", "  Diagnosis:", r"e\.yaml:7:3: heads\.Diagnosis"),
        ("    type: category\n", "", r"e\.yaml:7:3: heads\.diagnosis\.type: this key is required"),
        ("name: demo", "title: demo", r"e\.yaml:1:1: title: unknown key; known keys: name, data, backbone, heads"),
    ],
)
def test_a_fault_names_line_column_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, GOOD.replace(old, new))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("root:", "rot:").replace("epochs: 2", "epochs: 0").replace("name: demo", "name: My Demo")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 3


def test_a_fault_in_an_override_names_the_override(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"-o training\.seed=x: training\.seed: .*got 'x'"):
        load(tmp_path, GOOD, "training.seed=x")
    assert load(tmp_path, GOOD, "training.stages.1.lr=0.5").training.stages[1].lr == 0.5


@pytest.mark.parametrize("heads", ["{}", "{diagnosis: category}", "[category]", "category"])
def test_heads_must_be_blocks(tmp_path: Path, heads: str) -> None:
    with pytest.raises(ConfigError, match=r"e\.yaml:6:1: heads|e\.yaml:6:9: heads|e\.yaml:\d+:\d+: heads"):
        load(tmp_path, GOOD.split("heads:")[0] + f"heads: {heads}\n" + GOOD[GOOD.index("training:") :])


def test_shares_must_sum_to_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"e\.yaml:3:3: data\.split: train \+ val \+ test must be 1, they sum to 1\.1"
    ):
        load(tmp_path, GOOD.replace("root: data/demo", "split: {train: 0.8}"))
    assert Split(column="fold", train=0.9).column == "fold"


def test_group_takes_one_name_or_several() -> None:
    assert Data(group="eye").group == ["eye"]
    assert Data(group=["eye", "visit"]).group == ["eye", "visit"]
    assert Data().group is None


def test_a_plugins_keys_are_checked_in_place() -> None:
    class Inner(BaseModel):
        model_config = ConfigDict(extra="forbid")
        weight: float = 1

    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid")
        classes: list[str]
        inner: dict[str, Inner] = {}

    source = parse_source("heads:\n  a:\n    clases: [x]\n    inner: {k: {wieght: 2}}\n", name="f.yaml")
    data: Any = source.data["heads"]["a"]
    with pytest.raises(ConfigError) as caught:
        validate(Config, data, source, ("heads", "a"))
    assert str(caught.value).splitlines() == [
        "f.yaml:2:3: heads.a.classes: this key is required",
        "f.yaml:4:17: heads.a.inner.k.wieght: unknown key; did you mean 'weight'?",
        "f.yaml:3:5: heads.a.clases: unknown key; did you mean 'classes'?",
    ]
