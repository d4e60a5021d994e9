"""Whether probabilities mean what they say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermtl.errors import DataError
from dermtl.statistics.calibration_line import calibration_line, weighted_line
from dermtl.statistics.reliability import (
    brier_rows,
    ece_if_calibrated,
    nll_rows,
    reliability,
    weighted_ece,
)
from dermtl.statistics.temperature import fit_temperature

PROBABILITY = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.55])
HAPPENED = np.array([0, 0, 1, 0, 1, 1, 0, 1, 1, 0])


def test_the_vector() -> None:
    found = reliability(PROBABILITY, HAPPENED, num_bins=5, bins="equal_width")
    assert found.ece == pytest.approx(0.29, abs=1e-12)
    assert found.num.tolist() == [1, 2, 2, 2, 3]
    assert brier_rows(PROBABILITY, HAPPENED).mean() == pytest.approx(0.1905, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_scores_agree_with_scikit_learn(drawn: list[tuple[int, bool]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    probability, truth = np.array([p / 10 for p, _ in drawn]), np.array([y for _, y in drawn])
    expected = metrics.brier_score_loss(truth, probability, pos_label=True)
    assert brier_rows(probability, truth).mean() == pytest.approx(expected, abs=1e-9)
    inner = np.clip(probability, 0.01, 0.99)
    expected = metrics.log_loss(truth, inner, labels=[False, True])
    assert nll_rows(inner, truth).mean() == pytest.approx(expected, abs=1e-9)


def test_scores_of_several_classes() -> None:
    probability, truth = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]]), np.array([0, 1])
    assert brier_rows(probability, truth) == pytest.approx([0.09 + 0.04 + 0.01, 2.0])
    assert nll_rows(probability, truth)[0] == pytest.approx(-math.log(0.7))
    assert np.isfinite(nll_rows(probability, truth)).all()


def test_bins_of_equal_mass_do_not_part_equal_probabilities() -> None:
    rng = np.random.default_rng(0)
    probability, happened = np.round(rng.random(300), 2), rng.random(300) < 0.5
    found = reliability(probability, happened)
    order = rng.permutation(300)
    assert reliability(probability[order], happened[order]).ece == pytest.approx(found.ece)
    assert found.num.sum() == 300
    assert len(found.num) == 15
    assert found.num.max() - found.num.min() <= 12
    distinct = reliability(np.arange(90) / 100, happened[:90])
    assert distinct.num.tolist() == [6] * 15
    assert math.isnan(reliability(np.empty(0), np.empty(0)).ece)


def test_chance_alone_shows_an_error() -> None:
    rng = np.random.default_rng(1)
    probability = rng.random(200)
    expected = ece_if_calibrated(probability)
    assert 0.02 < expected < 0.15
    assert reliability(probability, rng.random(200) < probability).ece == pytest.approx(expected, abs=0.06)
    assert ece_if_calibrated(rng.random(5000)) < expected


def test_a_temperature_that_was_put_in_is_found() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(20000, 4)) * 2
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (chance.cumsum(axis=1) < rng.random((20000, 1))).sum(axis=1)
    assert fit_temperature(logits * 3 + 7, truth) == pytest.approx(3, rel=0.04)
    single = rng.normal(size=(10000, 2)) * 2
    labels = (rng.random((10000, 2)) < 1 / (1 + np.exp(-single))).astype(float)
    labels[::7, 0] = np.nan
    assert fit_temperature(single * 0.5, labels, "sigmoid") == pytest.approx(0.5, rel=0.05)


def test_the_temperature_is_the_likeliest() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(50, 3)) * 4
    truth = np.where(rng.random(50) < 0.6, logits.argmax(axis=1), rng.integers(0, 3, 50))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(50), truth]).mean())

    best = fit_temperature(logits + 100, truth)
    assert loss(best) <= min(loss(best * 1.01), loss(best / 1.01))


def test_logits_without_a_best_temperature_end_at_a_bound() -> None:
    always_right = np.eye(3) * 5
    assert fit_temperature(always_right, np.arange(3)) == pytest.approx(0.01)
    assert fit_temperature(-always_right, np.arange(3)) == pytest.approx(100)
    with pytest.raises(DataError):
        fit_temperature(np.empty((0, 3)), np.empty(0))
    with pytest.raises(DataError):
        fit_temperature(np.full((2, 3), np.nan), np.zeros(2))


def chance(odds):
    return 1 / (1 + np.exp(-odds))


def test_slope_and_intercept() -> None:
    rng = np.random.default_rng(4)
    odds = rng.normal(size=20000) * 1.5 - 1
    happened = rng.random(20000) < chance(0.5 * odds + 0.3)
    found = calibration_line(odds, happened)
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(0.3, abs=0.06)
    assert found.in_the_large > 0
    right = calibration_line(odds, rng.random(20000) < chance(odds))
    assert (right.slope, right.in_the_large) == (pytest.approx(1, abs=0.06), pytest.approx(0, abs=0.06))


ODDS = np.log(PROBABILITY / (1 - PROBABILITY))


def test_slope_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    fitted = linear.LogisticRegression(C=np.inf, tol=1e-10).fit(ODDS[:, None], HAPPENED)
    found = calibration_line(ODDS, HAPPENED)
    assert found.slope == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(fitted.intercept_[0], rel=1e-3)


def test_data_that_do_not_tell_have_no_line() -> None:
    assert math.isnan(calibration_line(ODDS, np.ones(10)).slope)
    constant = calibration_line(np.full(10, math.log(0.3 / 0.7)), HAPPENED)
    assert math.isnan(constant.slope)
    assert constant.in_the_large == pytest.approx(0 - math.log(0.3 / 0.7))
    assert math.isnan(calibration_line(ODDS, PROBABILITY > 0.5).slope)
    assert math.isnan(calibration_line(np.empty(0), np.empty(0)).in_the_large)


@given(st.integers(0, 10**6), st.floats(-3, 4), st.floats(0.05, 30))
@settings(max_examples=60, deadline=None)
def test_the_line_is_where_the_likelihood_is_flat(seed: int, offset: float, spread: float) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=60) * spread + offset
    happened, weights = rng.random(60) < 0.5, rng.integers(0, 4, 60)
    found = weighted_line(odds, happened)(weights)
    if math.isnan(found.slope):
        return
    excess = weights * (chance(found.intercept + found.slope * odds) - happened)
    assert abs(excess.sum()) < 1e-9 * weights.sum()
    assert abs((excess * odds).sum()) < 1e-9 * (weights * np.abs(odds)).sum()
    assert abs((weights * (chance(found.in_the_large + odds) - happened)).sum()) < 1e-9 * weights.sum()


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_weights_are_copies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability, weights = np.round(rng.random(80), 2), rng.integers(0, 4, 80)
    happened = rng.random(80) < probability
    odds = np.log(np.clip(probability, 0.005, 0.995)) - np.log(1 - np.clip(probability, 0.005, 0.995))
    copies = np.repeat(np.arange(80), weights)
    expected = reliability(probability[copies], happened[copies]).ece
    assert weighted_ece(probability, happened)(weights) == pytest.approx(expected, abs=1e-12)
    line, same = weighted_line(odds, happened)(weights), calibration_line(odds[copies], happened[copies])
    assert (line.slope, line.intercept) == pytest.approx((same.slope, same.intercept), abs=1e-9, nan_ok=True)
    assert math.isnan(weighted_ece(probability, happened)(np.zeros(80, int)))


def test_what_rounding_alone_parts_has_no_slope() -> None:
    odds = np.array([-2.0, -1.0, 0.3, 0.3 + 1e-8, 1.0, 2.0])
    assert math.isnan(calibration_line(odds, np.array([0, 0, 0, 1, 1, 1])).slope)
    assert math.isnan(calibration_line(odds, np.array([0, 0, 1, 0, 1, 1])).slope)
