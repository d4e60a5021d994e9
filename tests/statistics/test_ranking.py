"""ROC and precision curves, and DeLong's variance."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermtl.arrays import Array
from dermtl.errors import DataError
from dermtl.statistics.delong import delong, delong_test
from dermtl.statistics.ranking import Ranking, auroc

SICK = [0.65, 0.70, 0.60, 0.49, 0.57, 0.47, 0.66, 0.89, 0.56, 0.54, 0.74, 0.71]
WELL = [0.42, 0.23, 0.39, 0.53, 0.16, 0.32, 0.06, 0.17, 0.07, 0.36, 0.17, 0.45, 0.43, 0.37]
WELL += [-0.05, 0.30, 0.39, 0.42, 0.12, 0.31, 0.22, 0.25, 0.59, 0.25, 0.39, 0.56, 0.29, 0.38]
SCORES, POSITIVE = np.array(SICK + WELL), np.arange(len(SICK + WELL)) < len(SICK)
ALONE = [str(row) for row in range(len(SCORES))]

rows = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40)


def unzip(drawn: list[tuple[int, bool, int]]) -> tuple[Array, Array, Array]:
    return (np.array([row[0] / 7 for row in drawn]), np.array([row[1] for row in drawn]),
            np.array([row[2] for row in drawn]))  # fmt: skip


def test_the_published_vector() -> None:
    found = Ranking(SCORES, POSITIVE).curve().areas()
    assert found["auroc"] == pytest.approx(0.96875, abs=1e-12)
    assert found["pauc_tpr80_band"] == pytest.approx(0.179762, abs=1e-6)
    assert found["auc_sens80_isic"] == pytest.approx(0.922619, abs=1e-6)
    area = delong(SCORES, POSITIVE, ALONE)
    assert area.auroc == pytest.approx(0.96875, abs=1e-12)
    assert area.standard_error == pytest.approx(0.0223149, abs=1e-7)
    assert (area.low, area.high) == (pytest.approx(0.87966, abs=1e-5), pytest.approx(0.99245, abs=1e-5))


def test_perfect_and_random_scores() -> None:
    perfect = Ranking(np.arange(10.0), np.arange(10) > 4).curve()
    assert perfect.pauc_tpr80_band() == pytest.approx(0.2)
    assert perfect.auc_sens80_isic() == perfect.auroc() == perfect.average_precision() == 1
    chance = Ranking(np.ones(10), np.arange(10) > 4).curve()
    assert chance.pauc_tpr80_band() == pytest.approx(0.02)
    assert chance.auc_sens80_isic() == pytest.approx(0.18)
    worst = Ranking(-np.arange(10.0), np.arange(10) > 4).curve()
    assert worst.pauc_tpr80_band() == worst.auc_sens80_isic() == 0


@given(rows)
def test_auroc_counts_pairs_and_weights_count_rows(drawn: list[tuple[int, bool, int]]) -> None:
    scores, positive, weights = unzip(drawn)
    chosen = np.repeat(np.arange(len(scores)), weights)
    once = Ranking(scores[chosen], positive[chosen]).curve().areas()
    counted = Ranking(scores, positive).curve(weights).areas()
    assert counted == pytest.approx(once, nan_ok=True, abs=1e-12)
    wins = [(p > n) + 0.5 * (p == n) for p in scores[positive] for n in scores[~positive]]
    got = auroc(scores, positive)
    assert got == pytest.approx(np.mean(wins)) if wins else math.isnan(got)


@given(rows)
@settings(max_examples=60, deadline=None)
def test_areas_agree_with_scikit_learn(drawn: list[tuple[int, bool, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores, positive, _ = unzip(drawn)
    if positive.all() or not positive.any():
        return
    found = Ranking(scores, positive).curve().areas()
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-9)
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(positive, scores), abs=1e-9)
    # Kaggle 2024: scikit-learn's standardised partial area of flipped labels and negated scores, put back to scale.
    standard = metrics.roc_auc_score(~positive, -scores, max_fpr=0.2)
    band = 0.5 * 0.2**2 + (0.2 - 0.5 * 0.2**2) * (standard - 0.5) / 0.5
    assert found["pauc_tpr80_band"] == pytest.approx(band, abs=1e-9)


def test_one_class_has_no_area() -> None:
    for positive in (np.ones(3, bool), np.zeros(3, bool)):
        found = Ranking(np.arange(3.0), positive).curve().areas()
        assert math.isnan(found["auroc"])
        assert math.isnan(found["pauc_tpr80_band"])
    assert math.isnan(Ranking(np.empty(0), np.empty(0, bool)).curve().auroc())
    assert math.isnan(delong(np.arange(3.0), np.ones(3, bool), ["a", "b", "c"]).auroc)


def test_delong_refuses_rows_that_belong_together() -> None:
    with pytest.raises(DataError, match="independent"):
        delong(SCORES, POSITIVE, ["same", "same", *ALONE[2:]])
    with pytest.raises(DataError, match="bootstrap"):
        delong_test(SCORES, SCORES, POSITIVE, ["same", "same", *ALONE[2:]])


def test_a_perfect_area_has_no_interval() -> None:
    area = delong(np.arange(6.0), np.arange(6) > 2, list("abcdef"))
    assert area.auroc == 1
    assert math.isnan(area.low)
    assert math.isnan(area.high)


def test_delong_compares_two_models() -> None:
    alike = delong_test(SCORES, SCORES * 2 + 1, POSITIVE, ALONE)
    assert (alike.difference, alike.standard_error) == (0, pytest.approx(0, abs=1e-9))
    noise = np.random.default_rng(0).normal(size=len(SCORES))
    forth, back = delong_test(noise, SCORES, POSITIVE, ALONE), delong_test(SCORES, noise, POSITIVE, ALONE)
    assert forth.difference == pytest.approx(-back.difference)
    assert forth.p == pytest.approx(back.p)
    assert forth.p < 0.001
    assert forth.low == pytest.approx(-back.high)


def test_the_variance_is_that_of_many_studies() -> None:
    rng = np.random.default_rng(4)
    positive = np.arange(100) < 40
    found = [delong(rng.normal(size=100) + positive, positive, [str(i) for i in range(100)]) for _ in range(300)]
    spread = np.std([area.auroc for area in found])
    assert np.mean([area.standard_error for area in found]) == pytest.approx(spread, rel=0.12)
