"""From the heads of an experiment file to checked plans; a fault names its line."""

import numpy as np
import pytest

from dermtl.config.experiment import Experiment
from dermtl.config.load import validate
from dermtl.config.source import parse_source
from dermtl.errors import ConfigError, PluginConflict, PluginContract, PluginNotFound
from dermtl.kinds import Category, Circle, Record
from dermtl.plugins.plan import plan_heads, replan_heads

TEXT = """\
name: t
backbone: {name: test_resnet}
training: {stages: [{epochs: 1}]}
heads:
  diagnosis:
    type: classification
    classes: [a, b]
  extent:
    type: dermtl-regression:circle
    loss_weight: 2.5
    r: radius
"""


def plan(text):
    source = parse_source(text, name="t.yaml")
    return plan_heads(validate(Experiment, source.data, source), source)


def test_plans_hold_kinds_weights_and_origin():
    plans = plan(TEXT)
    assert list(plans) == ["diagnosis", "extent"]
    assert plans["diagnosis"].outputs == {"diagnosis.probability": Category(("a", "b"))}
    assert plans["extent"].target == Circle(r="radius")
    assert (plans["diagnosis"].loss_weight, plans["extent"].loss_weight) == (1.0, 2.5)
    assert plans["extent"].origin["distribution"] == "dermtl-regression"
    circle = np.array([30, 20, 10], np.float32)
    assert plans["extent"].metrics().measure({"circle": circle}, circle)["circle_iou"] == pytest.approx(1)


def test_a_stored_plan_is_planned_again_alike():
    plans = plan(TEXT)
    stored = {
        name: {"type": p.spec.name, "origin": p.origin, "loss_weight": p.loss_weight, "config": p.config.model_dump()}
        for name, p in plans.items()
    }
    assert replan_heads(stored) == plans


def test_fitted_learns_the_classes_and_leaves_the_plan_as_it_was(tmp_path):
    plans = plan(TEXT.replace("    classes: [a, b]\n", ""))
    records = [Record(f"{label}.png", tmp_path, {"label": label}) for label in ("nevus", "melanoma", "nevus")]
    assert plans["diagnosis"].fitted(records).target == Category(("melanoma", "nevus"))
    assert plans["diagnosis"].target == Category(())


@pytest.mark.parametrize(
    ("old", "new", "kind", "words"),
    [
        ("classes: [a, b]", "clases: [a, b]", ConfigError, "t.yaml:7:5: heads.diagnosis.clases: .*'classes'"),
        ("classes: [a, b]", "classes: [a, a]", ConfigError, "t.yaml:5:3: heads.diagnosis: a class is listed twice"),
        ("r: radius", "dropout: -1", ConfigError, "t.yaml:11:5: heads.extent.dropout: .*greater than"),
        ("type: classification", "type: clasification", PluginNotFound, "t.yaml:6:5: .*did you mean 'classification'"),
        ("dermtl-regression:circle", "clinic:circle", PluginNotFound, "t.yaml:9:5: no head named 'clinic:circle'"),
    ],
)
def test_a_fault_names_line_key_and_nearest(old, new, kind, words):
    with pytest.raises(kind, match=words):
        plan(TEXT.replace(old, new))


def test_a_config_that_is_none_is_the_plugins_fault(install, spec_text):
    text = "type: odd"
    install("odd", {"odd": "plan_odd:spec"}, {"plan_odd": spec_text("odd", config="plan_odd:HeadSpec")})
    with pytest.raises(PluginContract, match=r"t.yaml:6:5: plan_odd:HeadSpec is not a HeadConfig"):
        plan(TEXT.replace("type: classification", text))
    install("gone", {"gone": "plan_gone:spec"}, {"plan_gone": spec_text("gone", config="no_such_plan:Config")})
    with pytest.raises(PluginContract, match=r"t.yaml:6:5: head 'diagnosis': cannot import no_such_plan:Config"):
        plan(TEXT.replace("type: classification", "type: gone"))


def test_a_conflict_names_the_line_and_the_way_out(install, spec_text):
    install("rival", {"circle": "plan_rival:spec"}, {"plan_rival": spec_text("circle")})
    assert "extent" in plan(TEXT)  # it names its distribution
    with pytest.raises(PluginConflict, match=r"t.yaml:9:5: .*write dermtl-regression:circle, or uninstall one"):
        plan(TEXT.replace("dermtl-regression:", ""))
