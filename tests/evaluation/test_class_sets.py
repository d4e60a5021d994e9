"""Sets of classes: settled with slack for rounding, judged on other records."""

import numpy as np
import pytest

from dermtl.errors import ConfigError, DataError
from dermtl.evaluation.decisions.class_sets import class_set_metrics, fit_class_set
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.runtime.class_set import ClassSet


def drawn(n=400, seed=0, exclusive=True):
    rng = np.random.default_rng(seed)
    values = rng.dirichlet([0.5, 0.7, 0.9], n)
    truth = (rng.random((n, 1)) > values.cumsum(axis=1)[:, :-1]).sum(axis=1)
    names = ("a", "b", "c")
    return Probabilities("d", "d.probability", names, values, np.eye(3, dtype=bool)[truth], np.arange(n), exclusive)


def each(num):
    return [f"g{index}" for index in range(num)]


def test_no_probability_hangs_on_rounding():
    found = drawn()
    settled = fit_class_set(found, each(400), 0.9)
    assert np.abs(found.values - settled.threshold).min() > 1e-9
    held = (found.values >= settled.threshold)[found.truth].mean()
    assert held == settled.chosen["coverage"] == pytest.approx(361 / 400, abs=0.003)  # rank ceil(401 * 0.9)
    assert settled.chosen["mean_size"] > 1


def test_what_cannot_have_sets_is_refused():
    with pytest.raises(DataError, match="groups"):
        fit_class_set(drawn(8), each(8), 0.9)
    with pytest.raises(DataError, match="labels"):
        fit_class_set(drawn(exclusive=False), each(400), 0.9)
    with pytest.raises(ConfigError, match="below 1"):
        fit_class_set(drawn(), each(400), 1.0)


def test_figures_are_those_of_the_sets():
    values = np.array([[0.6, 0.3, 0.1], [0.5, 0.45, 0.05], [0.2, 0.2, 0.6], [0.25, 0.25, 0.5], [0.1, 0.1, 0.8]])
    truth = np.eye(3, dtype=bool)[[0, 2, 2, 0, 0]]
    found = Probabilities("d", "d.probability", ("a", "b", "c"), values, truth, np.arange(5), True)
    told = class_set_metrics(ClassSet("d", "d.probability", 0.8, 0.4), found, each(5), resamples=100)
    # Sets: a; a b; c; c; c. The truth is in the first and in the third.
    assert told["sizes"] == [0, 4, 1, 0]
    figures = {name: figure["value"] for name, figure in told["figures"].items()}
    assert figures == pytest.approx({"coverage": 0.4, "mean_size": 1.2, "single": 0.8, "empty": 0.0})
    assert told["figures"]["coverage"]["low"] <= 0.4 <= told["figures"]["coverage"]["high"]
    assert told["figures"]["coverage"]["wilson"] == pytest.approx([0.1176, 0.7693], abs=1e-3)
    assert "wilson" not in told["figures"]["mean_size"]
    assert told["by_class"]["a"] == {"value": 1 / 3, "n": 3, "wilson": told["by_class"]["a"]["wilson"]}
    assert told["by_class"]["b"] == {"value": None, "n": 0, "wilson": [None, None]}


def test_new_records_are_held_as_promised():
    held = [
        class_set_metrics(
            fit_class_set(drawn(100, seed), each(100), 0.8), drawn(200, 1000 + seed), each(200), resamples=2
        )
        for seed in range(60)
    ]
    assert np.mean([told["figures"]["coverage"]["value"] for told in held]) == pytest.approx(0.8, abs=0.025)
    assert {told["promised"] for told in held} == {0.8}
