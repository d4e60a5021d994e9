"""Temperatures and thresholds from validation probabilities."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.config.experiment import Experiment
from dermtl.config.source import Source
from dermtl.errors import PluginContract
from dermtl.evaluation.decisions.fit import fit_decisions, fit_thresholds
from dermtl.evaluation.decisions.rule import class_set_coverages, decision_rules
from dermtl.evaluation.formatting import threshold_text
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.plugins.decision_rule import DecisionRule
from dermtl.plugins.plan import plan_heads
from dermtl.runtime.decision import Decisions


def drawn(n=400, num_classes=3, sharp=1.0, seed=0) -> Probabilities:
    """Classes drawn from the probabilities themselves, which are then sharpened: T = sharp mends them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, num_classes))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (rng.random((n, 1)) > honest.cumsum(axis=1)[:, :-1]).sum(axis=1)
    weight = np.exp(logits * sharp)
    values = weight / weight.sum(axis=1, keepdims=True)
    names = tuple("abcdefgh"[:num_classes])
    return Probabilities(
        "d", "d.probability", names, values, np.eye(num_classes, dtype=bool)[truth], np.arange(n), True
    )


def plans(**heads):
    data = {
        "name": "x",
        "backbone": {"name": "resnet18"},
        "heads": heads,
        "training": {"stages": [{"epochs": 1}]},
    }
    return plan_heads(Experiment.model_validate(data), Source(data))


def test_a_temperature_mends_what_was_sharpened():
    found = fit_decisions({"d": drawn(n=4000, sharp=2.5)}, {})
    assert found.temperatures["d"] == pytest.approx(2.5, rel=0.1)
    figures = found.facts["calibration"]["d"]
    assert figures["after"]["nll"] < figures["before"]["nll"]
    assert figures["after"]["ece"] < 0.5 * figures["before"]["ece"]


@given(st.floats(0.2, 5))
def test_tempering_and_back_changes_nothing(temperature):
    found = drawn(n=20)
    again = found.tempered(temperature).tempered(1 / temperature)
    assert np.allclose(again.values, found.values, atol=1e-6)
    assert (found.tempered(temperature).values.argmax(axis=1) == found.values.argmax(axis=1)).all()


def test_labels_are_tempered_each_for_itself():
    values = np.array([[0.9, 0.2], [0.5, 0.7]])
    found = Probabilities("t", "t.probability", ("x", "y"), values, values > 0.5, np.arange(2), False)
    odds = values / (1 - values)
    expected = np.sqrt(odds) / (1 + np.sqrt(odds))
    assert np.allclose(found.tempered(2.0).values, expected)


@pytest.mark.parametrize(("rule", "key"), [("sensitivity>=0.95", "sensitivity"), ("specificity>=0.9", "specificity")])
def test_the_threshold_meets_its_rule_on_tempered_scores(rule, key):
    probabilities = drawn(sharp=3)
    found = fit_decisions({"d": probabilities}, {"d": (DecisionRule(("a", "b"), rule),)})
    (decision,) = found.binary
    tempered = probabilities.tempered(found.temperatures["d"])
    scores, truth = tempered.score(("a", "b")), tempered.holds(("a", "b"))
    called = scores >= decision.threshold
    achieved = {"sensitivity": called[truth].mean(), "specificity": (~called[~truth]).mean()}
    assert achieved[key] >= float(rule.partition("=")[2])
    assert achieved[key] == pytest.approx(decision.chosen[key])
    assert np.abs(scores - decision.threshold).min() > 1e-9, "no score may hang on rounding"
    assert decision.name == "a+b"
    low, high = decision.doubtful
    assert (scores[truth] >= low).mean() >= 0.95
    assert (scores[~truth] < high).mean() >= 0.95


def test_a_threshold_that_nobody_reaches_reads_back_and_decides():
    scores = np.array([0.99, 0.8, 0.7, 0.2, 0.1] * 4)
    truth = np.array([0, 1, 0, 1, 0] * 4, bool)
    values, holds = np.stack([scores, 1 - scores], axis=1), np.stack([truth, ~truth], axis=1)
    found = Probabilities("d", "d.probability", ("ill", "well"), values, holds, np.arange(20), True)
    decisions, unsettled = fit_thresholds({"d": found}, {"d": (DecisionRule(("ill",), "cost:0.1"),)})
    assert not unsettled
    text = json.dumps(Decisions(binary=decisions).to_json(), allow_nan=False)
    (decision,) = Decisions.from_json(json.loads(text)).binary
    assert decision.threshold == 2
    assert decision.outcome({"ill": 1.0, "well": 0.0})["positive"] is False
    assert threshold_text(decision.threshold) == "nobody is positive"
    assert threshold_text(0.25) == "0.25"


def test_what_is_settled_reads_back():
    found = fit_decisions({"d": drawn()}, {"d": (DecisionRule(("a",)),)}, {"split": "val"})
    assert Decisions.from_json(found.to_json()) == found


def test_what_cannot_be_settled_is_left_out_and_listed(caplog):
    few = drawn(n=8)
    none = drawn()
    absent = Probabilities(
        "d", "d.probability", none.names, none.values, none.truth & [False, True, True], none.indices, True
    )
    found = fit_decisions({"few": few, "d": absent}, {"d": (DecisionRule(("a",)),), "x": (DecisionRule(("a",)),)})
    assert "few" not in found.temperatures
    assert not found.binary
    assert [line.partition(":")[0] for line in found.facts["unsettled"]] == ["d", "d, a", "x, a"]
    assert "positives and negatives" in caplog.text


def test_probabilities_that_are_all_right_have_no_temperature():
    found = drawn()
    sure = Probabilities(
        "d", "d.probability", found.names, np.where(found.truth, 0.8, 0.1), found.truth, found.indices, True
    )
    assert fit_decisions({"d": sure}, {}).temperatures == {}


def test_the_heads_configs_declare_their_decisions():
    found = decision_rules(
        plans(
            plain={"type": "classification", "classes": ["a", "b"]},
            d={"type": "classification", "classes": ["a", "b", "c"], "positive": ["c", "a"], "rule": "youden"},
            t={"type": "tags", "labels": ["x", "y"], "lower_bound": True},
            where={"type": "circle"},
        )
    )
    assert [(head, r.name, r.rule, r.lower_bound) for head, rules in found.items() for r in rules] == [
        ("d", "c+a", "youden", False),
        ("t", "x", "sensitivity>=0.95", True),
        ("t", "y", "sensitivity>=0.95", True),
    ]


def test_a_decision_has_a_short_name():
    assert DecisionRule(("malignant/mel", "malignant/bcc")).name == "mel+bcc"
    assert DecisionRule(("a/own", "b/own")).name == "a/own+b/own"
    assert DecisionRule(tuple("abcdefg")).name == "a+b+c+4 more"


def test_a_head_of_another_author_declares_its_decisions_itself():
    """Not the names of its keys count, but what its config answers."""
    (plan,) = plans(d={"type": "classification", "classes": ["a", "b", "c"]}).values()

    class Config(type(plan.config)):
        def decisions(self):
            return [DecisionRule(("b",), "youden"), DecisionRule(("a", "c"))]

        def class_set_coverage(self):
            return 0.7

    own = {"d": replace(plan, config=Config(classes=("a", "b", "c"), positive=("a",), conformal=0.9))}
    assert [rule.name for rule in decision_rules(own)["d"]] == ["b", "a+c"]
    assert [rule.rule for rule in decision_rules(own, "cost:3")["d"]] == ["cost:3", "cost:3"]
    assert class_set_coverages(own) == {"d": 0.7}


def test_a_decision_on_a_class_that_the_head_has_not_is_refused():
    (plan,) = plans(d={"type": "classification", "classes": ["a", "b"]}).values()

    class Config(type(plan.config)):
        def decisions(self):
            return [DecisionRule(("z",))]

    with pytest.raises(PluginContract, match="'z'"):
        decision_rules({"d": replace(plan, config=Config(classes=("a", "b")))})
