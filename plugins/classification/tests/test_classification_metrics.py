import math
from importlib.util import find_spec

import numpy as np
import pytest
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.category.metrics import ClassificationMetrics
from dermtl_classification.tags.config import TagsConfig
from dermtl_classification.tags.metrics import TagsMetrics

CLASSES = ("a", "b", "c", "d")


def _summary(metrics, outputs, annotations):
    measured = [metrics.measure({"probability": o}, a) for o, a in zip(outputs, annotations, strict=True)]
    return metrics.summarise({name: np.stack([row[name] for row in measured]) for name in measured[0]})


def _category(outputs, annotations):
    config = ClassificationConfig(classes=CLASSES)
    return _summary(ClassificationMetrics(config), outputs, [np.asarray(a, np.int64) for a in annotations])


def _random(num, num_classes, *, ties=False):
    scores = np.random.default_rng(num).dirichlet(np.ones(num_classes), num)
    return (np.round(scores, 1) if ties else scores).astype(np.float32)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_scikit_learn(ties):
    from sklearn.metrics import (
        accuracy_score,
        average_precision_score,
        balanced_accuracy_score,
        cohen_kappa_score,
        f1_score,
        matthews_corrcoef,
        recall_score,
        roc_auc_score,
    )

    scores, truth = _random(300, 4, ties=ties), np.random.default_rng(1).integers(0, 4, 300)
    got, decided = _category(scores, truth), scores.argmax(axis=1)
    areas = [roc_auc_score(truth == index, scores[:, index]) for index in range(4)]
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, decided), abs=1e-9)
    assert got["accuracy"] == pytest.approx(accuracy_score(truth, decided), abs=1e-9)
    assert got["macro_auroc"] == pytest.approx(np.mean(areas), abs=1e-9)
    assert got["weighted_auroc"] == pytest.approx(np.average(areas, weights=np.bincount(truth)), abs=1e-9)
    assert got["macro_f1"] == pytest.approx(f1_score(truth, decided, average="macro"), abs=1e-9)
    assert got["kappa"] == pytest.approx(cohen_kappa_score(truth, decided), abs=1e-9)
    assert got["mcc"] == pytest.approx(matthews_corrcoef(truth, decided), abs=1e-9)
    precise = scores.astype(np.float64)
    assert got["brier"] == pytest.approx(((precise - np.eye(4)[truth]) ** 2).sum(axis=1).mean(), abs=1e-9)
    for index, name in enumerate(CLASSES):
        assert got[f"average_precision.{name}"] == pytest.approx(
            average_precision_score(truth == index, scores[:, index]), abs=1e-9
        )
        assert got[f"specificity.{name}"] == pytest.approx(recall_score(truth != index, decided != index), abs=1e-9)
        recall = recall_score(truth, decided, average=None)[index]
        assert got[f"sensitivity.{name}"] == pytest.approx(recall, abs=1e-9)
        assert got[f"auroc.{name}"] == pytest.approx(areas[index], abs=1e-9)


def test_perfect_is_best():
    got = _category(np.eye(4, dtype=np.float32), range(4))
    assert got.pop("brier") == 0
    assert {round(value, 9) for name, value in got.items() if name.startswith("pauc")} == {0.2}
    assert {value for name, value in got.items() if not name.startswith("pauc")} == {1.0}


@pytest.mark.parametrize("metrics", [ClassificationMetrics(ClassificationConfig(classes=CLASSES)),
                                     TagsMetrics(TagsConfig(labels=("x", "y", "z", "w")))])  # fmt: skip
def test_weights_count_rows(metrics):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 60) if isinstance(metrics, ClassificationMetrics) else rng.integers(0, 2, (60, 4))
    rows = {"probability": np.round(rng.dirichlet(np.ones(4), 60), 1), "annotation": truth}
    weights = rng.integers(0, 3, 60)
    got, chosen = metrics.weighted(rows)(weights), np.repeat(np.arange(60), weights)
    assert got == pytest.approx(metrics.summarise({name: values[chosen] for name, values in rows.items()}), nan_ok=True)


def test_a_resample_without_a_class_has_no_mean_over_the_classes():
    metrics = ClassificationMetrics(ClassificationConfig(classes=("a", "b", "c")))
    figures = metrics.weighted({"probability": np.eye(3)[[0, 1, 2]], "annotation": np.array([0, 1, 2])})
    got = figures(np.array([2, 1, 0]))
    assert math.isnan(got["balanced_accuracy"])
    assert math.isnan(got["macro_auroc"])
    assert got["accuracy"] == got["sensitivity.a"] == 1


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
