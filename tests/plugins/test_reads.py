"""Heads that see what others answer: faults name the file's line, and sources run before readers."""

import pytest

from dermtl.config.experiment import Experiment
from dermtl.config.load import validate
from dermtl.config.source import parse_source
from dermtl.errors import ConfigError
from dermtl.plugins.plan import plan_heads, replan_heads
from dermtl.plugins.reads import run_order

TEXT = """\
name: t
backbone: {name: test_resnet}
training: {stages: [{epochs: 1}]}
heads:
  extent:
    type: circle
    from: outline
  outline:
    type: segmentation
    classes: [lesion]
  rim:
    type: segmentation
    classes: [cup, disc]
  diagnosis:
    type: classification
    classes: [a, b]
"""


def plan(text):
    source = parse_source(text, name="t.yaml")
    return plan_heads(validate(Experiment, source.data, source), source)


def test_a_head_reads_another_that_stands_below_it():
    plans = plan(TEXT)
    assert list(plans) == ["extent", "outline", "rim", "diagnosis"]
    assert plans["extent"].config.reads() == ("outline",)
    named = plan(TEXT.replace("from: outline", "from: rim\n    class: disc"))
    assert named["extent"].config.channel == 1


def test_a_stored_plan_reads_the_same():
    plans = plan(TEXT)
    stored = {name: dict(one.metadata()) for name, one in plans.items()}
    assert stored["extent"]["config"]["from"] == "outline"
    assert replan_heads(stored) == plans
    assert plans["extent"].dump()["from"] == "outline"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("from: outlines", "there is no head 'outlines'; other heads: outline, rim, diagnosis"),
        ("from: extent", "a head cannot read itself"),
        ("from: diagnosis", r"needs the mask of an outline, head 'diagnosis' gives diagnosis.probability \(category\)"),
        ("from: rim", "outlines several classes: cup, disc"),
    ],
)
def test_a_fault_names_its_line(key, message):
    with pytest.raises(ConfigError, match=rf"^t.yaml:7:\d+: heads.extent.from: .*{message}"):
        plan(TEXT.replace("from: outline", key))


def test_a_near_key_is_offered_by_the_name_of_the_file():
    with pytest.raises(ConfigError, match="unknown key; did you mean 'from'"):
        plan(TEXT.replace("from: outline", "fron: outline"))


def test_sources_come_first_and_a_circle_of_heads_is_refused():
    assert run_order({"a": ["b"], "b": ["c"], "c": [], "d": []}).index("c") == 0
    assert set(run_order({"a": [], "b": []})) == {"a", "b"}
    with pytest.raises(ConfigError, match="in a circle: "):
        run_order({"a": ["b"], "b": ["a"]})
