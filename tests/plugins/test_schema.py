"""The JSON Schema that editors use: what dermtl accepts it accepts, what is mistyped it marks."""

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml

from dermtl.config.load import load_experiment
from dermtl.plugins.plan import plan_heads
from dermtl.plugins.schema import experiment_schema

DEMO = Path(__file__).parents[2] / "configs" / "demo.yaml"
CONFIG = """
from typing import Literal
from pydantic import BaseModel
from dermtl.api import Circle, HeadConfig

class Loss(BaseModel):
    {field}: int = 1

class Stage(BaseModel):
    deep: bool

class Config(HeadConfig):
    loss: Loss = Loss()
    stage: Stage | None = None

    def target(self):
        return Circle()

    def outputs(self):
        return {{"circle": Circle()}}
"""


def problems(document):
    schema = experiment_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return list(jsonschema.Draft202012Validator(schema).iter_errors(document))


@pytest.fixture
def demo():
    return load_experiment(DEMO)[1].data


def test_the_demo_is_valid(demo):
    assert problems(demo) == []


def test_the_written_out_demo_is_valid():
    experiment, source = load_experiment(DEMO)
    document = experiment.model_dump(mode="json")
    document["heads"] = {name: plan.dump() for name, plan in plan_heads(experiment, source).items()}
    assert problems(yaml.safe_load(yaml.safe_dump(document))) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(trainings={}),
        lambda d: d.pop("backbone"),
        lambda d: d["backbone"].update(nam="x"),
        lambda d: d["heads"]["extent"].update(chanels=1),
        lambda d: d["heads"]["extent"].update(type="circel"),
        lambda d: d["heads"]["extent"].update(type="dermtl-classification:circle"),
        lambda d: d["heads"]["extent"].update(channels=0),
        lambda d: d["heads"]["outline"].update(decoder="fcn"),
        lambda d: d["heads"]["outline"].pop("type"),
        lambda d: d["heads"]["outline"].update(loss_weight=-1),
        lambda d: d["training"]["stages"][0].update(epoch=3),
        lambda d: d["backbone"].pop("name"),
        lambda d: d["training"].pop("stages"),
        lambda d: d.update(extends=3),
        lambda d: d.update(extends="five_step", trainings={}),
        lambda d: d.update(extends="five_step", training={"stages": [{"lr": 0.1}]}),
        lambda d: d.update(extends="five_step", heads={"extent": {"type": "circle", "chanels": 1}}),
    ],
)
def test_a_mistake_is_marked(demo, change):
    document = copy.deepcopy(demo)
    change(document)
    assert problems(document)


@pytest.mark.parametrize(
    "document",
    [
        {"extends": "five_step", "data": {"root": "x"}, "heads": {"d": {"type": "classification"}}},
        {"extends": ["esteva2017", "own.yaml"], "training": {"seed": 3}, "backbone": {"image_size": 64}},
        {"extends": "base.yaml", "heads": {"d": {"dropout": 0.5}}},
    ],
)
def test_what_extends_a_file_may_be_incomplete(document):
    assert problems(document) == []
    del document["extends"]
    assert problems(document)


def test_plugins_definitions_stay_apart(install, spec_text, demo):
    """Two plugins, and the core, each with a model of one name."""
    for name, field in (("left", "low"), ("right", "high")):
        modules = {
            f"sch_{name}": spec_text(name, config=f"sch_{name}_c:Config"),
            f"sch_{name}_c": CONFIG.format(field=field),
        }
        install(name, {name: f"sch_{name}:spec"}, modules)
    demo["heads"] = {
        "a": {"type": "left", "loss": {"low": 3}},
        "b": {"type": "right", "loss": {"high": 3}, "stage": {"deep": True}},
    }
    assert problems(demo) == []
    demo["heads"]["b"]["loss"] = {"high": "three"}
    assert problems(demo)


def test_a_conflict_is_valid_only_with_its_distribution(install, spec_text, demo):
    install(
        "rival",
        {"circle": "sch_rival:spec"},
        {"sch_rival": spec_text("circle", config="sch_rival_c:Config"), "sch_rival_c": CONFIG.format(field="x")},
    )
    demo["heads"]["extent"] = {"type": "circle"}
    assert problems(demo)
    demo["heads"]["extent"]["type"] = "dermtl-regression:circle"
    assert problems(demo) == []
    demo["heads"]["extent"]["type"] = "rival:circle"
    assert problems(demo) == []


def test_broken_plugins_are_left_out_with_a_warning(five_broken, install, spec_text, demo, caplog):
    install("noconfig", {"noconfig": "sch_none:spec"}, {"sch_none": spec_text("noconfig", config="json:loads")})
    assert problems(demo) == []
    assert all(name in caplog.text for name in ("raises", "exits", "absent", "future", "stranger", "noconfig"))
