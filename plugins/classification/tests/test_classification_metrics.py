import math
from importlib.util import find_spec

import numpy as np
import pytest
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.category.metrics import ClassificationMetrics
from dermtl_classification.ranking import auroc
from dermtl_classification.tags.config import TagsConfig
from dermtl_classification.tags.metrics import TagsMetrics
from hypothesis import given
from hypothesis import strategies as st

CLASSES = ("a", "b", "c", "d")
POSITIVE = [0.65, 0.70, 0.60, 0.49, 0.57, 0.47, 0.66, 0.89, 0.56, 0.54, 0.74, 0.71]
NEGATIVE = [0.42, 0.23, 0.39, 0.53, 0.16, 0.32, 0.06, 0.17, 0.07, 0.36, 0.17, 0.45, 0.43, 0.37]
NEGATIVE += [-0.05, 0.30, 0.39, 0.42, 0.12, 0.31, 0.22, 0.25, 0.59, 0.25, 0.39, 0.56, 0.29, 0.38]


def _summary(metrics, outputs, annotations):
    measured = [metrics.measure({"probability": o}, a) for o, a in zip(outputs, annotations, strict=True)]
    return metrics.summarise({name: np.stack([row[name] for row in measured]) for name in measured[0]})


def _category(outputs, annotations):
    config = ClassificationConfig(classes=CLASSES)
    return _summary(ClassificationMetrics(config), outputs, [np.asarray(a, np.int64) for a in annotations])


def _random(num, num_classes, *, ties=False):
    scores = np.random.default_rng(num).dirichlet(np.ones(num_classes), num)
    return (np.round(scores, 1) if ties else scores).astype(np.float32)


def test_auroc_of_the_published_vector():
    scores = np.array(POSITIVE + NEGATIVE)
    assert auroc(scores, np.arange(len(scores)) < len(POSITIVE)) == pytest.approx(0.96875, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_auroc_counts_pairs(pairs):
    scores, positive = np.array([s for s, _ in pairs], float), np.array([p for _, p in pairs])
    wins = [(p > n) + 0.5 * (p == n) for p in scores[positive] for n in scores[~positive]]
    got = auroc(scores, positive)
    assert got == pytest.approx(np.mean(wins)) if wins else math.isnan(got)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_scikit_learn(ties):
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score, roc_auc_score

    scores, truth = _random(300, 4, ties=ties), np.random.default_rng(1).integers(0, 4, 300)
    got, decided = _category(scores, truth), scores.argmax(axis=1)
    areas = [roc_auc_score(truth == index, scores[:, index]) for index in range(4)]
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, decided), abs=1e-9)
    assert got["accuracy"] == pytest.approx(accuracy_score(truth, decided), abs=1e-9)
    assert got["macro_auroc"] == pytest.approx(np.mean(areas), abs=1e-9)
    for index, name in enumerate(CLASSES):
        recall = recall_score(truth, decided, average=None)[index]
        assert got[f"sensitivity.{name}"] == pytest.approx(recall, abs=1e-9)
        assert got[f"auroc.{name}"] == pytest.approx(areas[index], abs=1e-9)


def test_perfect_is_best():
    got = _category(np.eye(4, dtype=np.float32), range(4))
    assert set(got.values()) == {1.0}


def test_an_absent_class_is_not_estimable_and_enters_no_mean():
    got = _category(np.eye(4, dtype=np.float32)[[0, 1, 2, 0]], [0, 1, 2, 1])
    assert math.isnan(got["sensitivity.d"])
    assert math.isnan(got["auroc.d"])
    assert got["balanced_accuracy"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert got["macro_auroc"] == pytest.approx(np.mean([got[f"auroc.{name}"] for name in "abc"]))


def test_one_class_alone_has_no_auroc():
    got = _category(np.eye(4, dtype=np.float32)[[0, 0, 1]], [0, 0, 0])
    assert math.isnan(got["macro_auroc"])
    assert got["balanced_accuracy"] == pytest.approx(2 / 3)


def test_no_rows_are_not_estimable():
    metrics = ClassificationMetrics(ClassificationConfig(classes=CLASSES))
    got = metrics.summarise({"probability": np.empty((0, 4)), "annotation": np.empty(0, np.int64)})
    assert all(math.isnan(value) for value in got.values())


def test_the_primary_metrics_are_reported():
    assert ClassificationMetrics.primary in _category(np.eye(4), range(4))
    assert TagsMetrics.primary in _tags(np.eye(3), np.eye(3))


def _tags(outputs, annotations):
    return _summary(TagsMetrics(TagsConfig(labels=("x", "y", "z"))), outputs, annotations)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_tags_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

    rng = np.random.default_rng(2)
    scores, truth = rng.random((200, 3)), (rng.random((200, 3)) < 0.4).astype(np.float32)
    got, decided = _tags(scores, truth), scores >= 0.5
    assert got["macro_auroc"] == pytest.approx(roc_auc_score(truth, scores, average="macro"), abs=1e-9)
    assert got["sensitivity"] == pytest.approx(recall_score(truth, decided, average="macro"), abs=1e-9)
    assert got["specificity"] == pytest.approx(recall_score(1 - truth, ~decided, average="macro"), abs=1e-9)
    assert got["exact_match"] == pytest.approx(accuracy_score(truth, decided), abs=1e-9)


def test_a_label_that_never_holds_enters_no_mean():
    truth = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    got = _tags(truth, truth)
    assert math.isnan(got["sensitivity.z"])
    assert math.isnan(got["auroc.z"])
    assert got["specificity.z"] == 1.0
    assert got["macro_auroc"] == got["sensitivity"] == got["exact_match"] == 1.0
