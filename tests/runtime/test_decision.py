"""Frozen decisions: their form, and what a prediction says by them."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from dermtl.errors import BundleError
from dermtl.runtime.bundle import Bundle
from dermtl.runtime.class_set import ClassSet
from dermtl.runtime.decision import Decision, Decisions
from dermtl.runtime.outputs.row_formats import Csv
from dermtl.runtime.predictor import load

RED = Decision("diagnosis", "diagnosis.probability", "reddish+bluish", ("reddish", "bluish"), 0.6, (0.6, 0.8), {"n": 9})
HELD = ClassSet("diagnosis", "diagnosis.probability", 0.9, 0.4, {"records": 9})
SETTLED = Decisions({"diagnosis": 1.5}, (RED,), {"split": "val"}, (HELD,))


def test_it_is_carried_in_the_metadata(build_bundle):
    bundle = build_bundle(decisions=SETTLED)
    assert Bundle.from_json(bundle.to_json()) == bundle


def test_files_of_older_versions_decide_nothing(build_bundle):
    document = json.loads(build_bundle().to_json())
    del document["decisions"]
    assert Bundle.from_json(json.dumps(document)).decisions == Decisions()
    document = json.loads(build_bundle(decisions=SETTLED).to_json())
    del document["decisions"]["sets"]
    assert Bundle.from_json(json.dumps(document)).decisions == replace(SETTLED, sets=())


def test_a_prediction_has_the_decision_beside_the_probability(tmp_path, build_model, build_bundle):
    model = load(build_model(tmp_path / "model.onnx", bundle=build_bundle(decisions=SETTLED)))
    blue = np.zeros((20, 30, 3), np.uint8)
    blue[..., 2] = 255
    block = model.predict(blue)["diagnosis"]
    answer = block["decision"]["reddish+bluish"]
    assert answer["score"] == pytest.approx(block["probability"]["reddish"] + block["probability"]["bluish"])
    assert answer == {"positive": True, "score": answer["score"], "threshold": 0.6, "doubtful": False}
    assert model.predict(blue).columns()["diagnosis.decision.reddish+bluish"] == 1
    black = model.predict(np.zeros((20, 30, 3), np.uint8))["diagnosis"]["decision"]["reddish+bluish"]
    assert black["positive"]
    assert black["doubtful"], "two thirds lie in the band"
    assert "decision" not in model.predict(blue)["extent"]


def test_nobody_reaches_a_threshold_of_two(tmp_path, build_model, build_bundle):
    """What the rule of costs freezes where calling nobody positive is cheapest."""
    nobody = replace(RED, threshold=2.0, doubtful=None)
    model = load(build_model(tmp_path / "model.onnx", bundle=build_bundle(decisions=Decisions(binary=(nobody,)))))
    blue = np.zeros((20, 30, 3), np.uint8)
    blue[..., 2] = 255
    answer = model.predict(blue)["diagnosis"]["decision"]["reddish+bluish"]
    assert answer == {"positive": False, "score": answer["score"], "threshold": 2.0}
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert model.predict(blue).columns()["diagnosis.decision.reddish+bluish"] == 0


def test_a_prediction_has_the_set_of_classes(tmp_path, build_model, build_bundle):
    model = load(build_model(tmp_path / "model.onnx", bundle=build_bundle(decisions=SETTLED)))
    blue = np.zeros((20, 30, 3), np.uint8)
    blue[..., 2] = 255
    found = model.predict(blue)
    block = found["diagnosis"]
    assert block["set"] == {"classes": [block["label"]], "coverage": 0.9}
    own = {name: found.columns()[f"diagnosis.set.{name}"] for name in block["probability"]}
    assert own == {name: float(value >= 0.4) for name, value in block["probability"].items()}
    header = Csv(model.kinds, SETTLED).header.strip().split(",")
    assert [column for column in header if ".set." in column] == [f"diagnosis.set.{name}" for name in own]
    black = model.predict(np.zeros((20, 30, 3), np.uint8))
    assert black["diagnosis"]["set"]["classes"] == [], "no class reaches 0.4"
    every = replace(SETTLED, binary=(), sets=(replace(HELD, threshold=0.1),))
    model = load(build_model(tmp_path / "every.onnx", bundle=build_bundle(decisions=every)))
    block = model.predict(blue)["diagnosis"]
    members = block["set"]["classes"]
    assert members[0] == block["label"]
    assert "decision" not in block


def test_members_come_by_probability():
    assert HELD.members({"a": 0.4, "b": 0.1, "c": 0.5}) == ["c", "a"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema",), 2),
        (("temperatures", "diagnosis"), 0),
        (("temperatures", "diagnosis"), "1.5"),
        (("temperatures",), []),
        (("questions", 0, "threshold"), None),
        (("questions", 0, "threshold"), float("nan")),
        (("questions", 0, "positive"), "reddish"),
        (("questions", 0, "positive"), []),
        (("questions", 0, "positive"), ["yellowish"]),
        (("questions", 0, "output"), "extent.circle"),
        (("questions", 0, "doubtful"), [0.1]),
        (("questions",), 3),
        (("facts",), 3),
        (("sets",), 3),
        (("sets", 0), 3),
        (("sets", 0, "threshold"), "0.4"),
        (("sets", 0, "threshold"), float("inf")),
        (("sets", 0, "coverage"), 1.0),
        (("sets", 0, "output"), "extent.circle"),
        (("sets", 0, "chosen"), 3),
    ],
)
def test_damaged_decisions_are_refused(build_bundle, place, value):
    document = copy.deepcopy(json.loads(build_bundle(decisions=SETTLED).to_json()))
    target = document["decisions"]
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(BundleError):
        Bundle.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["[]", "3", "null", "{}", '{"schema": 1}'])
def test_what_is_no_decisions_is_refused(text):
    with pytest.raises(BundleError):
        Decisions.from_json(json.loads(text))
