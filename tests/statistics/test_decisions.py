"""Proportions, McNemar, tables of classes, operating points and what they mean for patients."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from dermtl.errors import ConfigError, DataError, InputError
from dermtl.statistics.confusion import Confusion
from dermtl.statistics.indeterminate import choose_band
from dermtl.statistics.mcnemar import mcnemar
from dermtl.statistics.means import weighted_means, weighted_quantile
from dermtl.statistics.net_benefit import decision_curve, predictive_values
from dermtl.statistics.operating_point import NOBODY, choose_threshold, just_below
from dermtl.statistics.proportion import Proportion

SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
SICK = np.array([0, 0, 0, 1, 0, 1, 0, 1, 1, 1], bool)


@pytest.mark.parametrize(
    ("hits", "num", "low", "high"),
    [(30, 33, 0.76427, 0.96860), (65, 71, 0.82764, 0.96069), (0, 10, 0, 0.27753), (10, 10, 0.72247, 1)],
)
def test_wilson(hits: int, num: int, low: float, high: float) -> None:
    assert Proportion(hits, num).interval() == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))
    assert all(math.isnan(value) for value in (Proportion(0, 0).value, *Proportion(0, 0).interval()))


def right(only_first: int, only_second: int, both: int = 5) -> tuple[np.ndarray, np.ndarray]:
    first = [True] * only_first + [False] * only_second + [True] * both
    return np.array(first), np.array([False] * only_first + [True] * only_second + [True] * both)


def test_mcnemar_of_the_published_example() -> None:
    """Airway hyper-responsiveness before and after transplantation, Fagerland et al. 2013: 1 against 7."""
    found = mcnemar(*right(1, 7))
    assert (found.only_first, found.only_second) == (1, 7)
    assert found.exact_p == pytest.approx(0.0703125)
    assert found.mid_p == pytest.approx(0.0390625)


@pytest.mark.parametrize(("each", "p"), [(1, 0.75), (2, 0.8125), (3, 0.84375), (10, 0.911901)])
def test_mcnemar_at_a_tie(each: int, p: float) -> None:
    """1 - dbinom(each, 2 * each, 0.5) / 2, as McNemar_midP_test_paired_2x2 of the R package contingencytables."""
    found = mcnemar(*right(each, each))
    assert found.mid_p == pytest.approx(p, abs=1e-6)
    assert found.mid_p == pytest.approx(1 - stats.binom.pmf(each, 2 * each, 0.5) / 2)
    assert found.exact_p == 1


def test_mcnemar_of_models_that_never_differ() -> None:
    assert mcnemar(*right(0, 0)).mid_p == 1


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_a_binomial_test(first: int, second: int) -> None:
    found, num, few = mcnemar(*right(first, second)), first + second, min(first, second)
    assert found.exact_p == pytest.approx(min(1, 2 * sum(math.comb(num, i) for i in range(few + 1)) / 2**num))
    assert found.mid_p <= found.exact_p
    assert found.mid_p == mcnemar(*right(second, first)).mid_p


def test_mcnemar_of_many_rows() -> None:
    assert mcnemar(*right(4000, 4100)).exact_p == pytest.approx(0.2714, abs=1e-3)
    assert mcnemar(*right(0, 3000)).exact_p == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_classes_agree_with_scikit_learn(drawn: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, decided = (np.array(column) for column in zip(*drawn, strict=True))
    found = Confusion.of(truth, decided, 3)
    assert found.accuracy() == pytest.approx(metrics.accuracy_score(truth, decided))
    present = np.unique(truth)
    f1 = metrics.f1_score(truth, decided, labels=present, average=None)
    assert found.f1()[present] == pytest.approx(f1, abs=1e-9)
    assert found.sensitivity()[present] == pytest.approx(
        metrics.recall_score(truth, decided, labels=present, average=None), abs=1e-9
    )
    absent = np.setdiff1d(np.arange(3), truth)
    assert np.isnan(found.sensitivity()[absent]).all()
    assert np.isnan(found.f1()[absent]).all()
    if len(np.union1d(truth, decided)) > 1:
        assert found.kappa() == pytest.approx(metrics.cohen_kappa_score(truth, decided), abs=1e-9)
        one_sided = len(present) == 1 or len(np.unique(decided)) == 1
        expected = math.nan if one_sided else metrics.matthews_corrcoef(truth, decided)
        assert found.mcc() == pytest.approx(expected, abs=1e-9, nan_ok=True)
    else:
        assert math.isnan(found.kappa())


def test_means_and_quantiles_under_weights() -> None:
    columns = {"a": np.array([1.0, np.nan, 4.0]), "b": np.array([np.nan, np.nan, 2.0])}
    means = weighted_means(columns)
    assert means(np.array([1, 5, 1])) == {"a": 2.5, "b": 2.0}
    assert math.isnan(means(np.array([1, 1, 0]))["b"])
    quantile = weighted_quantile(np.array([5.0, 1.0, 3.0]))
    assert quantile(np.array([1, 1, 1]), 0.5) == 3
    assert quantile(np.array([3, 1, 1]), 0.5) == 5
    assert math.isnan(quantile(np.zeros(3, int), 0.5))


@pytest.mark.parametrize(
    ("rule", "threshold", "sensitivity", "specificity"),
    [
        ("sensitivity>=0.95", 0.4, 1.0, 0.6),
        ("sensitivity>=0.8", 0.6, 0.8, 0.8),
        ("specificity>=0.8", 0.6, 0.8, 0.8),
        ("specificity>=1", 0.8, 0.6, 1.0),
        ("youden", 0.4, 1.0, 0.6),
        ("cost:1", 0.4, 1.0, 0.6),
        ("cost:0.1", 0.8, 0.6, 1.0),
        ("cost:10", 0.4, 1.0, 0.6),
        ("fixed:0.65", 0.65, 0.6, 0.8),
    ],
)
def test_rules(rule: str, threshold: float, sensitivity: float, specificity: float) -> None:
    found = choose_threshold(SCORES, SICK, rule)
    assert (found.threshold, found.sensitivity, found.specificity) == (threshold, sensitivity, specificity)
    assert found.n == 10
    assert found.decide(SCORES).tolist() == (threshold <= SCORES).tolist()
    assert found.to_json()["rule"] == rule


def test_calling_nobody_may_cost_least() -> None:
    """Two missed positives at 0.1 each, against at least one false alarm or one missed positive and more."""
    scores, sick = np.array([0.9, 0.8, 0.7, 0.2, 0.1]), np.array([0, 1, 0, 1, 0], bool)
    found = choose_threshold(scores, sick, "cost:0.1")
    assert (found.threshold, found.sensitivity, found.specificity) == (NOBODY, 0.0, 1.0)
    assert not found.decide(np.array([0.0, 1.0, np.nextafter(np.float32(1), 2)])).any()
    assert just_below(scores, found.threshold) == NOBODY
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["threshold"] == NOBODY


@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=12),
    st.sampled_from([0.05, 0.2, 0.5, 1, 2, 10]),
)
def test_no_threshold_costs_less_than_the_one_chosen(rows: list[tuple[int, bool]], ratio: float) -> None:
    """Against every way to part the rows at a score, nobody and everybody included."""
    scores, sick = np.array([score / 8 for score, _ in rows]), np.array([row for _, row in rows])
    assume(sick.any() and not sick.all())

    def cost(threshold: float) -> float:
        called = scores >= threshold
        return ratio * float((sick & ~called).sum()) + float((called & ~sick).sum())

    found = choose_threshold(scores, sick, f"cost:{ratio}")
    assert cost(found.threshold) == pytest.approx(min(map(cost, [*scores, math.inf])))
    assert math.isfinite(found.threshold)


def test_scores_above_one_have_a_threshold_above_them() -> None:
    found = choose_threshold(np.array([7.0, 3.0]), np.array([False, True]), "cost:0.1")
    assert found.threshold > 7


def test_equal_scores_are_decided_alike() -> None:
    scores, sick = np.array([0.2, 0.5, 0.5, 0.5, 0.9]), np.array([0, 0, 1, 1, 1], bool)
    found = choose_threshold(scores, sick, "sensitivity>=0.6")
    assert (found.threshold, found.sensitivity, found.specificity) == (0.5, 1.0, 0.5)


def test_the_lower_limit_may_have_to_meet_the_target() -> None:
    scores = np.concatenate([np.linspace(0, 0.6, 200), np.linspace(0.3, 1, 100)])
    sick = np.arange(300) >= 200
    plain = choose_threshold(scores, sick, "sensitivity>=0.9")
    strict = choose_threshold(scores, sick, "sensitivity>=0.9", lower_bound=True)
    assert strict.threshold < plain.threshold
    assert Proportion(round(strict.sensitivity * 100), 100).interval()[0] >= 0.9
    with pytest.raises(DataError, match="no threshold meets"):
        choose_threshold(SCORES, SICK, "sensitivity>=0.95", lower_bound=True)


def test_what_cannot_be_reached_is_said() -> None:
    with pytest.raises(DataError, match="5 negatives"):
        choose_threshold(-SCORES, SICK, "specificity>=0.99")
    with pytest.raises(DataError, match="0 and 10"):
        choose_threshold(SCORES, np.zeros(10, bool))
    with pytest.raises(DataError, match="not finite"):
        choose_threshold(np.where(SICK, np.nan, SCORES), SICK)


@pytest.mark.parametrize(
    "rule", ["", "best", "sensitivity>=", "sensitivity>=0", "specificity>=1.1", "cost:0", "cost:-1", "fixed:e",
             "sensitivity>=0.9 or so", "youden:1"]
)  # fmt: skip
def test_rules_that_are_none(rule: str) -> None:
    with pytest.raises(ConfigError, match="rule"):
        choose_threshold(SCORES, SICK, rule)


def test_only_a_target_has_a_lower_bound() -> None:
    with pytest.raises(ConfigError, match="lower bound"):
        choose_threshold(SCORES, SICK, "youden", lower_bound=True)


def test_predictive_values() -> None:
    ppv, npv = predictive_values(0.9, 0.8, 0.1)
    assert ppv == pytest.approx(0.09 / (0.09 + 0.18))
    assert npv == pytest.approx(0.72 / (0.72 + 0.01))
    assert math.isnan(predictive_values(0.0, 1.0, 0.3)[0])
    assert predictive_values(0.9, 0.8, 0) == (0, 1)
    with pytest.raises(InputError):
        predictive_values(0.9, 0.8, 1.5)


def test_net_benefit() -> None:
    curve = decision_curve(SCORES, SICK, np.array([0.0, 0.2, 0.65]))
    assert curve.treat_all == pytest.approx([0.5, 0.5 - 0.5 * 0.25, 0.5 - 0.5 * 0.65 / 0.35])
    assert curve.model == pytest.approx([0.5, 0.5 - 0.4 * 0.25, 0.3 - 0.1 * 0.65 / 0.35])
    with pytest.raises(InputError):
        decision_curve(SCORES, SICK, np.array([1.0]))


def test_the_doubtful_are_left_open() -> None:
    band = choose_band(SCORES, SICK, sensitivity=1, specificity=1)
    assert (band.low, band.high) == (0.4, 0.8)
    certain = choose_band(SCORES, SCORES > 0.45)
    assert certain.low == certain.high
