"""Sets of classes hold what they promise."""

import warnings

import numpy as np
import pytest

from dermtl.errors import DataError
from dermtl.statistics.conformal import set_threshold


def each(num):
    return [f"g{index}" for index in range(num)]


@pytest.mark.parametrize(("coverage", "expected"), [(0.8, 0.2), (0.5, 0.5), (0.9, 0.1), (0.81, 0.1), (0.09, 0.9)])
def test_the_vector(coverage, expected):
    # Of nine, rank ceil(10 * coverage) from above.
    probability = np.array([0.3, 0.9, 0.1, 0.7, 0.5, 0.6, 0.4, 0.8, 0.2])
    assert set_threshold(probability, each(9), coverage) == expected


@pytest.mark.parametrize(("coverage", "expected"), [(0.75, 0.1), (0.5, 0.7), (0.6, 0.7), (0.63, 0.1), (0.25, 0.8)])
def test_a_group_counts_once(coverage, expected):
    # Weights 1/2 at 0.9, 1 at 0.8, 1 at 0.7, 1/2 at 0.1 reach 0.5, 1.5, 2.5, 3; 4 * coverage must be reached.
    assert set_threshold(np.array([0.9, 0.8, 0.7, 0.1]), ["a", "b", "c", "a"], coverage) == expected


def test_too_few_groups_promise_nothing():
    assert set_threshold(np.linspace(0.1, 0.9, 9), each(9), 0.9) == pytest.approx(0.1)
    with pytest.raises(DataError, match="need 9 groups or more, there are 8"):
        set_threshold(np.linspace(0.1, 0.9, 9), ["a", *each(7), "a"], 0.9)
    with pytest.raises(DataError):
        set_threshold(np.empty(0), [], 0.5)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_sets_are_those_of_mapie(coverage):
    pytest.importorskip("mapie")
    from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Known(ClassifierMixin, BaseEstimator):
        """Takes its rows for the probabilities."""

        def fit(self, values, truth):
            self.classes_ = np.arange(values.shape[1])
            return self

        def predict_proba(self, values):
            return values

        def predict(self, values):
            return values.argmax(axis=1)

    rng = np.random.default_rng(3)
    drawn = rng.dirichlet([0.6, 0.8, 1.0, 1.2], 437)
    truth = (rng.random((437, 1)) > drawn.cumsum(axis=1)[:, :-1]).sum(axis=1)
    known, other = drawn[:187], drawn[187:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MAPIE's own
        model = SplitConformalClassifier(Known().fit(known, truth), coverage, conformity_score="lac", prefit=True)
        model.conformalize(known, truth[:187])
        _, expected = model.predict_set(other)
    threshold = set_threshold(known[np.arange(187), truth[:187]], each(187), coverage)
    assert ((other >= threshold) == expected[:, :, 0]).all()


def study(rng, num, spread):
    """Groups of one to four records that are alike: probability of the true class, and the groups."""
    sizes = rng.integers(1, 5, num)
    own = np.repeat(rng.normal(0, spread, num), sizes)
    return 1 / (1 + np.exp(-(own + rng.normal(0, 1, sizes.sum()) + 1))), np.repeat(np.arange(num), sizes).astype(str)


def test_a_new_group_is_held_as_often_as_promised():
    rng, held = np.random.default_rng(0), []
    for _ in range(600):
        probability, groups = study(rng, 40, 2.0)
        threshold = set_threshold(probability, groups.tolist(), 0.9)
        new, own = study(rng, 30, 2.0)
        counts = np.bincount(own.astype(int))
        held.append(np.average(new >= threshold, weights=1 / counts[own.astype(int)]))
    assert 0.89 < np.mean(held) < 0.93
