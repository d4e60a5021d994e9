"""Intervals that resample whole groups."""

import numpy as np
import pytest
from scipy import stats

from dermtl.arrays import Array
from dermtl.statistics.bootstrap import bootstrap, paired
from dermtl.statistics.ranking import Ranking


def mean_of(values: Array):
    return lambda weights: {"mean": float(weights @ values / weights.sum())}


def simulate(generator: np.random.Generator, num_groups: int) -> tuple[Array, list[str]]:
    """Groups of one to six alike rows around zero."""
    sizes = generator.integers(1, 7, num_groups)
    centres = np.repeat(generator.normal(size=num_groups), sizes)
    values = centres + 0.2 * generator.normal(size=len(centres))
    return values, [f"g{group}" for group in np.repeat(np.arange(num_groups), sizes)]


@pytest.mark.slow
def test_the_truth_is_covered_about_95_percent() -> None:
    """Of 500 studies; the mean, and the AUROC of patients whose pictures share much."""
    generator = np.random.default_rng(0)
    covered = dict.fromkeys(("mean", "auroc", "rowwise"), 0)
    # Score = patient + picture, with variances 1 and 0.25; an ill patient's is 1.5 higher: Phi(1.5 / sqrt(2.5)).
    truth = 0.828568
    num = 500
    for trial in range(num):
        values, groups = simulate(generator, 120)
        low, high, _ = bootstrap(mean_of(values), groups, resamples=400, seed=trial)["mean"]
        covered["mean"] += low <= 0 <= high
        low, high, _ = bootstrap(mean_of(values), [str(r) for r in range(len(values))], resamples=100)["mean"]
        covered["rowwise"] += low <= 0 <= high
        ill = np.repeat(generator.random(120) < 0.4, 3)
        scores = np.repeat(generator.normal(size=120), 3) + 0.5 * generator.normal(size=360) + 1.5 * ill
        ranking = Ranking(scores, ill)
        patients = [str(group) for group in np.repeat(np.arange(120), 3)]
        found = bootstrap(
            lambda weights, ranking=ranking: {"auroc": ranking.curve(weights).auroc()}, patients, resamples=400
        )
        covered["auroc"] += found["auroc"].low <= truth <= found["auroc"].high
    assert 0.93 <= covered["mean"] / num <= 0.97, covered
    assert 0.93 <= covered["auroc"] / num <= 0.97, covered
    assert covered["rowwise"] / num < 0.8, "ignoring groups must be seen to fail, or this test shows nothing"


def test_it_agrees_with_the_textbook_for_single_rows() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    low, high, _ = bootstrap(mean_of(values), [str(i) for i in range(400)], resamples=600)["mean"]
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.25 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.25 * half)


def test_groups_are_drawn_whole() -> None:
    groups = ["a", "b", "a", "c", "b", "a"]
    drawn: list[list[int]] = []

    def note(weights: Array) -> dict[str, float]:
        drawn.append(weights.tolist())
        return {"n": float(weights.sum())}

    bootstrap(note, groups, resamples=50)
    assert drawn[0] == [1] * 6
    assert len(drawn) == 51
    for weights in drawn[1:]:
        by_group = {name: {w for w, group in zip(weights, groups, strict=True) if group == name} for name in "abc"}
        assert all(len(found) == 1 for found in by_group.values())
        assert sum(found.pop() for found in by_group.values()) == 3


def test_one_group_is_not_estimable() -> None:
    low, high, _ = bootstrap(mean_of(np.arange(5.0)), ["same"] * 5)["mean"]
    assert np.isnan(low)
    assert np.isnan(high)


def test_what_is_rarely_defined_is_not_estimable() -> None:
    def known(weights: Array) -> dict[str, float]:
        rarely = 1.0 if weights[0] > 2 or weights.max() == 1 else float("nan")
        often = float(weights @ np.arange(10))
        return {"rarely": rarely, "often": often, "never": float("nan"), "endless": float("inf")}

    found = bootstrap(known, [str(i) for i in range(10)], resamples=200)
    assert np.isfinite(found["often"][:2]).all()
    for name in ("rarely", "never"):
        assert np.isnan(found[name][:2]).all(), name
    assert found["endless"] == (np.inf, np.inf, 0)


def test_resamples_without_a_value_are_counted() -> None:
    """A single positive of n groups is left out of a resample with probability (1 - 1/n)^n."""
    num, resamples = 20, 2000
    undefined = 0

    def single(weights: Array) -> dict[str, float]:
        nonlocal undefined
        undefined += weights[0] == 0
        return {"single": float(weights[1:].sum()) if weights[0] else float("nan"), "other": 1.0}

    found = bootstrap(single, [str(i) for i in range(num)], resamples=resamples)
    assert found["single"].redrawn == undefined
    assert found["other"].redrawn == 0
    law = stats.nbinom(resamples, 1 - (1 - 1 / num) ** num)  # failures before so many successes
    assert law.ppf(1e-6) < found["single"].redrawn < law.ppf(1 - 1e-6)


def test_draws_after_a_metric_has_its_values_are_not_its_own() -> None:
    def three(weights: Array) -> dict[str, float]:
        return {"often": 1.0 if weights[0] else float("nan"), "rarely": 1.0 if weights[0] > 1 else float("nan")}

    alone = bootstrap(lambda weights: {"often": three(weights)["often"]}, list("abcdefgh"), resamples=200)
    assert bootstrap(three, list("abcdefgh"), resamples=200)["often"].redrawn == alone["often"].redrawn


@pytest.mark.parametrize("share", [0.0, 0.02, 0.03, 0.3])
def test_an_infinite_value_is_an_end_of_the_interval(share: float) -> None:
    """By the definition of percentiles: the upper end is infinite where at least 2.5% of resamples are."""
    calls = 0

    def statistic(weights: Array) -> dict[str, float]:
        nonlocal calls
        calls += 1
        return {"ratio": float("inf") if calls > 1 and calls - 1 <= share * 1000 else float(calls)}

    interval = bootstrap(statistic, list("abc"), resamples=1000)["ratio"]
    assert np.isfinite(interval.low)
    assert np.isinf(interval.high) == (share >= 0.025)
    assert interval.redrawn == 0
    if np.isfinite(interval.high):
        values = [float(call) for call in range(2 + int(share * 1000), 1002)] + [1e300] * int(share * 1000)
        assert interval[:2] == pytest.approx(np.quantile(values, [0.025, 0.975]))


def test_a_resample_that_cannot_tell_is_drawn_again() -> None:
    def first(weights: Array) -> dict[str, float]:
        return {"first": float(weights[0]) if weights[0] else float("nan"), "all": float(weights[0])}

    found = bootstrap(first, [str(i) for i in range(8)], resamples=300)
    assert found["first"].low == 1
    assert found["all"].low == 0


def test_the_seed_and_the_level_matter_and_nothing_else_does() -> None:
    values, groups = simulate(np.random.default_rng(1), 20)
    first = bootstrap(mean_of(values), groups, resamples=100)
    np.random.seed(5)
    assert bootstrap(mean_of(values), groups, resamples=100) == first
    assert bootstrap(mean_of(values), groups, resamples=100, seed=1) != first
    narrow = bootstrap(mean_of(values), groups, resamples=100, level=0.5)["mean"]
    assert first["mean"].low < narrow.low < narrow.high < first["mean"].high


def test_a_paired_difference_loses_what_both_models_share() -> None:
    values, groups = simulate(np.random.default_rng(2), 50)
    better = values + 0.1
    low, high, _ = bootstrap(paired(mean_of(values), mean_of(better)), groups, resamples=100)["mean"]
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)
    both = paired(lambda weights: {"a": 1.0, "b": 2.0}, lambda weights: {"b": 5.0, "c": 1.0})(np.ones(1))
    assert both == {"b": 3.0}
