import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from dermtl_regression.number.config import NumberConfig
from dermtl_regression.number.head import NumberHead
from dermtl_regression.number.metrics import NumberMetrics
from pydantic import ValidationError

from dermtl.api import AnnotationError, FeatureInfo, Features, Number, Record

INFO = FeatureInfo(num_pooled=16, channels=(8,), reductions=(32,), image_size=64)
CONFIG = NumberConfig(names=["age", "depth"], units=["a", "mm"], mean=(50, 2), std=(10, 0.5))
TARGET = torch.tensor([[30.0, 1.5], [71.0, 2.9], [55.0, 2.0], [48.0, 1.0]])


def _features(num):
    return Features(torch.randn(num, INFO.num_pooled, generator=torch.Generator().manual_seed(num)), ())


def _records(rows):
    return [Record(f"{i}.png", Path(), {"age": a, "depth": d}) for i, (a, d) in enumerate(rows)]


def test_mean_and_std_come_from_the_annotated_training_records():
    config = NumberConfig(names=["age", "depth"]).fitted(_records([("40", "2"), ("60", "2"), ("", "9"), ("8", "")]))
    assert config.mean == (50.0, 2.0)
    assert config.std == (10.0, 1.0)  # a constant column is left in its own unit
    assert NumberConfig.model_validate_json(config.model_dump_json()) == config


def test_what_was_set_is_kept():
    records = _records([("40", "2"), ("60", "4")])
    assert CONFIG.fitted(records) == CONFIG
    assert NumberConfig(names=["age", "depth"], mean=(0, 0)).fitted(records).mean == (0, 0)
    assert NumberConfig(names=["age", "depth"], mean=(0, 0)).fitted(records).std == (10.0, 1.0)


def test_no_annotated_record_is_an_error():
    with pytest.raises(AnnotationError, match="none of 1 training records"):
        NumberConfig(names=["age", "depth"]).fitted(_records([("", "")]))


@pytest.mark.parametrize(
    "keys",
    [{"names": []}, {"names": ["a", "a"]}, {"units": ["mm", "mm"]}, {"std": [0.0]}, {"mean": [1, 2]}, {"nam": 1}],
)
def test_wrong_keys_are_refused(keys):
    with pytest.raises(ValidationError):
        NumberConfig(**{"names": ["a"], **keys})


@pytest.mark.parametrize("loss", ["quadratic", "smooth_l1"])
def test_overfits_one_batch_through_every_parameter(loss):
    torch.manual_seed(0)
    head, features = NumberHead(CONFIG.model_copy(update={"loss": loss, "dropout": 0.0}), INFO), _features(len(TARGET))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        sum(head.loss(head(features), TARGET).values()).mean().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())
        optimiser.step()
    torch.testing.assert_close(head.activate(head(features))["value"], TARGET, atol=0.2, rtol=0)


def test_the_loss_is_in_standard_deviations():
    head = NumberHead(CONFIG, INFO)
    raw = torch.tensor([[1.0, 0.0]])
    assert head.loss(raw, torch.tensor([[50.0, 2.5]]))["quadratic"].item() == pytest.approx(1.0)
    torch.testing.assert_close(head.activate(raw)["value"], torch.tensor([[60.0, 2.0]]))


def test_an_unfitted_config_builds_no_head():
    with pytest.raises(ValueError, match="fitted"):
        NumberHead(NumberConfig(names=["age"]), INFO)


def test_config_names_its_columns():
    assert CONFIG.outputs() == {"value": Number(("age", "depth"), ("a", "mm"))}


def _summary(predicted, true):
    metrics = NumberMetrics(CONFIG)
    measured = [metrics.measure({"value": p}, t) for p, t in zip(predicted, true, strict=True)]
    return metrics.summarise({name: np.stack([row[name] for row in measured]) for name in measured[0]})


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_metrics_agree_with_scikit_learn():
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    rng = np.random.default_rng(0)
    true = rng.normal([50, 2], [10, 1], (80, 2))
    predicted = true + rng.normal(0.3, 1, (80, 2))
    got = _summary(predicted, true)
    for index, name in enumerate(CONFIG.names):
        pair = true[:, index], predicted[:, index]
        assert got[f"mae.{name}"] == pytest.approx(mean_absolute_error(*pair))
        assert got[f"rmse.{name}"] == pytest.approx(root_mean_squared_error(*pair))
        assert got[f"r2.{name}"] == pytest.approx(r2_score(*pair))
        assert got[f"bias.{name}"] == pytest.approx(np.mean(pair[1] - pair[0]))
    assert got[NumberMetrics.primary] == pytest.approx((got["r2.age"] + got["r2.depth"]) / 2)


def test_perfect_is_best():
    got = _summary(TARGET.numpy(), TARGET.numpy())
    assert all(value == (1.0 if name.startswith("r2") else 0.0) for name, value in got.items())


def test_r2_of_a_constant_or_of_one_record_is_not_estimable():
    true = np.array([[50, 1.1], [60, 1.1], [70, 1.1]], np.float32)
    got = _summary(true, true)
    assert math.isnan(got["r2.depth"])
    assert got["r2"] == got["r2.age"] == 1.0
    assert math.isnan(_summary(true[:1], true[:1])["r2"])


@pytest.mark.slow
def test_the_exported_head_agrees_at_any_batch_size(exported_difference):
    difference = exported_difference(NumberHead(CONFIG, INFO), _features)
    assert max(difference(1), difference(3)) < 1e-4
