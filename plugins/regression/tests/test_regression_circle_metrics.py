import math

import numpy as np
import pytest
from dermtl_regression.circle.config import CircleConfig
from dermtl_regression.circle.metrics import CircleMetrics

from dermtl.api import Record

TRUE = np.array([[100, 100, 50], [200, 120, 40], [30, 60, 10]], np.float32)


def _summary(predicted, true):
    metrics = CircleMetrics(CircleConfig())
    measured = [metrics.measure({"circle": p}, t) for p, t in zip(predicted, true, strict=True)]
    return metrics.summarise({name: np.array([row[name] for row in measured]) for name in measured[0]})


def test_perfect_is_best():
    got = _summary(TRUE, TRUE)
    ones = {"circle_iou", "circle_iou_p50", "detection_rate_50", "detection_rate_75", "detection_rate_90"}
    assert {name for name, value in got.items() if value == 1} == ones
    assert {value for name, value in got.items() if name not in ones} == {0.0}
    assert CircleMetrics.primary in got


def test_errors_are_in_pixels_and_in_radii():
    got = _summary(TRUE + np.array([3, 4, -5], np.float32), TRUE)
    assert got["centre_error_px"] == pytest.approx(5)
    assert got["centre_error_r"] == pytest.approx(np.mean([5 / 50, 5 / 40, 5 / 10]))
    assert got["radius_bias_px"] == pytest.approx(-5)
    assert got["radius_error_px"] == pytest.approx(5)
    assert got["radius_error_rel"] == pytest.approx(np.mean([5 / 50, 5 / 40, 5 / 10]))


def test_bias_keeps_its_sign_and_error_does_not():
    got = _summary(TRUE + np.array([[0, 0, 2], [0, 0, -2], [0, 0, 3]], np.float32), TRUE)
    assert got["radius_bias_px"] == pytest.approx(1)
    assert got["radius_error_px"] == pytest.approx(7 / 3)


def test_detection_rates_count_records_above_an_iou():
    # Concentric discs: the IoU is the squared ratio of the radii, 0.81, 0.5625 and 0.25.
    got = _summary(TRUE * np.array([[1, 1, 0.9], [1, 1, 0.75], [1, 1, 0.5]], np.float32), TRUE)
    assert got["circle_iou"] == pytest.approx((0.81 + 0.5625 + 0.25) / 3, rel=1e-5)
    assert got["detection_rate_50"] == pytest.approx(2 / 3)
    assert got["detection_rate_75"] == pytest.approx(1 / 3)
    assert got["detection_rate_90"] == 0


def test_quantiles_are_values_that_occur():
    got = _summary(np.tile(TRUE[0], (10, 1)) + np.array([[i, 0, 0] for i in range(10)]), np.tile(TRUE[0], (10, 1)))
    assert got["centre_error_px_p50"] == 4
    assert got["centre_error_px_p90"] == 8


def test_no_rows_are_not_estimable():
    row = CircleMetrics(CircleConfig()).measure({"circle": TRUE[0]}, TRUE[0])
    got = CircleMetrics(CircleConfig()).summarise({name: np.empty(0) for name in row})
    assert all(math.isnan(value) for value in got.values())


def test_trivial_circles_are_those_of_the_training_records(tmp_path):
    from PIL import Image

    records = []
    for index, (x, y, r) in enumerate([(50, 20, 5), (30, 30, 10), (40, 40, 30)]):
        Image.new("RGB", (100, 50)).save(tmp_path / f"{index}.png")
        records.append(Record(f"{index}.png", tmp_path, {"cx": str(x), "cy": str(y), "r": str(r)}))
    unknown = Record("0.png", tmp_path, {"cx": "", "cy": "", "r": ""})
    config = CircleConfig().fitted([*records, unknown])
    found = config.baselines((100, 200))
    np.testing.assert_allclose(found["constant"]["circle"], [80, 60, 30])
    np.testing.assert_allclose(found["centred"]["circle"], [100, 50, 20])
    assert CircleConfig.model_validate_json(config.model_dump_json()) == config
    assert config.fitted(records[:1]) == config
    assert CircleConfig().fitted([unknown]).baselines((100, 200)) == {}
