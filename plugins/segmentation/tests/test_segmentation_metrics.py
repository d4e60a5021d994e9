import math

import numpy as np
import pytest
from dermtl_segmentation.boundary import boundary_scores
from dermtl_segmentation.config import SegmentationConfig
from dermtl_segmentation.metrics import SegmentationMetrics
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from dermtl.api import AnnotationError, Mask, PartialMask, Record


def _measure(found, true, classes=("lesion",)):
    """Measure a hard prediction, given as the class of every pixel."""
    found, true = np.asarray(found, np.uint8), np.asarray(true, np.uint8)
    probability = np.stack([found == number for number in range(1, len(classes) + 1)]).astype(np.float32)
    return SegmentationMetrics(SegmentationConfig(classes=classes)).measure({"mask": probability}, true)


def _summary(rows, classes=("lesion",)):
    stacked = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return SegmentationMetrics(SegmentationConfig(classes=classes)).summarise(stacked)


def _strip(num_found, num_true, num_both, size=200):
    """A row of pixels with so many found, true, and both."""
    found, true = np.zeros((1, size), np.uint8), np.zeros((1, size), np.uint8)
    true[0, :num_true] = 1
    found[0, num_true - num_both : num_true - num_both + num_found] = 1
    return _measure(found, true)


def test_one_class_by_hand():
    row = _strip(num_found=60, num_true=50, num_both=40)
    assert row["jaccard"] == pytest.approx(40 / 70)
    assert row["dice"] == pytest.approx(80 / 110)
    assert row["sensitivity"] == pytest.approx(0.8)
    assert row["specificity"] == pytest.approx(130 / 150)
    assert row["thresholded_jaccard"] == 0
    assert row["failure_rate"] == 1
    assert {name for name, value in row.items() if isinstance(value, bool)} == {"failure_rate", "hd95_undefined"}
    assert all(isinstance(value, float | bool) for value in row.values())


def test_thresholded_jaccard_of_the_challenge():
    rows = [_strip(both, 100, both) for both in (64, 65, 90)]
    assert [row["jaccard"] for row in rows] == pytest.approx([0.64, 0.65, 0.90])
    got = _summary(rows)
    assert got["thresholded_jaccard"] == pytest.approx(0.5167, abs=1e-4)
    assert got["failure_rate"] == pytest.approx(1 / 3)
    assert rows[1]["dice"] == pytest.approx(0.7879, abs=1e-4)


def test_nothing_to_find_and_nothing_found_is_right():
    row = _measure(np.zeros((4, 4)), np.zeros((4, 4)))
    assert row["dice"] == row["jaccard"] == row["thresholded_jaccard"] == row["specificity"] == 1
    assert row["failure_rate"] == 0
    assert math.isnan(row["sensitivity"])


def test_finding_something_where_nothing_is_counts_zero():
    row = _measure(np.eye(4), np.zeros((4, 4)))
    assert row["dice"] == row["jaccard"] == 0
    assert row["specificity"] == pytest.approx(0.75)


def test_images_without_a_value_enter_no_mean():
    got = _summary([_measure(np.zeros((4, 4)), np.zeros((4, 4))), _strip(30, 60, 30)])
    assert got["sensitivity"] == pytest.approx(0.5)
    assert math.isnan(_summary([_measure(np.ones((2, 2)), np.ones((2, 2)))])["specificity"])


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
def test_dice_and_jaccard_tell_the_same(found_bits, true_bits):
    found, true = (np.array([b >> i & 1 for i in range(16)]).reshape(4, 4) for b in (found_bits, true_bits))
    row = _measure(found, true)
    assert row["dice"] == pytest.approx(2 * row["jaccard"] / (1 + row["jaccard"]))
    assert 0 <= row["jaccard"] <= row["dice"] <= 1


def test_several_classes_are_reported_apart_and_averaged_per_image():
    true = [[1, 1, 2, 2], [0, 0, 2, 2]]
    found = [[1, 0, 2, 2], [0, 0, 2, 2]]
    row = _measure(found, true, ("cup", "disc"))
    assert row["dice.cup"] == pytest.approx(2 / 3)
    assert row["dice.disc"] == 1
    assert row["dice"] == pytest.approx(5 / 6)


def test_a_class_that_is_nowhere_is_not_estimable():
    true = np.array([[1, 1, 0, 0]])
    got = _summary([_measure(true, true, ("cup", "disc"))], ("cup", "disc"))
    assert math.isnan(got["dice.disc"])
    assert got["dice"] == got["dice.cup"] == 1
    empty = np.zeros((1, 4))
    assert _summary([_measure(empty, empty, ("cup", "disc"))], ("cup", "disc"))["dice"] == 1


def test_perfect_is_best():
    true = np.array([[1, 1, 2, 0]])
    got = _summary([_measure(true, true, ("cup", "disc"))], ("cup", "disc"))
    assert got.pop("failure_rate") == got.pop("hd95_pooled_px") == got.pop("hd95_undefined") == 0
    assert set(got.values()) == {1.0}
    assert SegmentationMetrics.primary in got


def test_the_likeliest_class_is_decided_with_the_background():
    metrics = SegmentationMetrics(SegmentationConfig(classes=("cup", "disc")))
    probability = np.array([[[0.3, 0.4]], [[0.3, 0.2]]], np.float32)  # background 0.4 in both pixels
    assert metrics.measure({"mask": probability}, np.array([[0, 1]], np.uint8))["dice"] == 1


def test_ignored_pixels_are_in_no_metric():
    rng = np.random.default_rng(0)
    probability = rng.random((1, 8, 8)).astype(np.float32)
    truth = (rng.random((8, 8)) < 0.5).astype(np.uint8)
    metrics = SegmentationMetrics(SegmentationConfig(ignore=255))
    half = metrics.measure({"mask": probability[:, :, :4]}, truth[:, :4])
    truth[:, 4:] = 255
    whole = metrics.measure({"mask": probability}, truth)
    names = ("dice", "jaccard", "sensitivity", "specificity", "failure_rate")
    assert [whole[name] for name in names] == [half[name] for name in names]


def test_ignored_pixels_are_of_the_truth_alone():
    config = SegmentationConfig(classes=["disc", "cup"], ignore=255)
    assert config.target() == PartialMask(("disc", "cup"), "mask", 255)
    assert config.outputs() == {"mask": Mask(("disc", "cup"), "mask")}
    with pytest.raises(ValueError, match="ignore: 2 is the number of a class"):
        SegmentationConfig(classes=["disc", "cup"], ignore=2)


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        _measure(np.zeros((2, 3)), np.zeros((3, 2)))


def test_config_names_its_column():
    config = SegmentationConfig(classes=["disc", "cup"], column="outline")
    assert config.outputs() == {"mask": Mask(("disc", "cup"), "outline")}
    assert SegmentationConfig.model_validate_json(config.model_dump_json()) == config
    assert SegmentationConfig(decoder="fpn").widths == (128,)
    assert SegmentationConfig(decoder="fpn", channels=64).widths == (64,)


@pytest.mark.parametrize(
    "keys",
    [
        {"classes": []},
        {"classes": ["a", "a"]},
        {"channels": 64},
        {"channels": []},
        {"decoder": "fpn", "channels": [64, 32]},
        {"decoder": "deeplab"},
        {"channels": [0]},
        {"masks": "mask"},
    ],
)
def test_wrong_keys_are_refused(keys):
    with pytest.raises(ValidationError):
        SegmentationConfig(**keys)


def test_edges_of_squares_apart():
    found, true = np.zeros((60, 512)), np.zeros((60, 512))
    true[10:30, 10:30] = 1
    found[10:30, 13:33] = 1
    row = _measure(found, true)
    # Of the 76 edge pixels each, the outer side's 20 are 3 px off, and of the inner side's 20 the middle 14.
    assert row["hd95_pooled_px"] == 3
    assert row["surface_dice"] == pytest.approx(1 - 34 / 76)
    assert row["hd95_undefined"] == 0


@given(st.integers(0, 2**32 - 1))
def test_distances_are_those_of_all_pairs(seed):
    """Pixels on every other row and column have no neighbours, so all are edge."""
    rng = np.random.default_rng(seed)
    one, other = np.zeros((600, 80), bool), np.zeros((600, 80), bool)
    low, high = sorted(rng.integers(0, 300, 2))
    one[:120:2, ::2] = rng.random((60, 40)) < 0.02
    other[2 * low : 2 * high : 2, ::2] = rng.random((high - low, 40)) < 0.02
    one[0, 0] = other[2 * high, 6] = True
    first, second = np.argwhere(one), np.argwhere(other)
    distances = np.sqrt(((first[:, None] - second[None]) ** 2).sum(axis=2))
    expected = np.percentile(np.concatenate([distances.min(axis=1), distances.min(axis=0)]), 95)
    assert boundary_scores(one, other)["hd95_pooled_px"] == pytest.approx(expected)


def test_an_edge_that_is_not_there_is_counted_and_not_averaged():
    empty, full = np.zeros((8, 8)), np.ones((8, 8))
    missing = _measure(empty, full)
    assert math.isnan(missing["hd95_pooled_px"])
    assert (missing["hd95_undefined"], missing["surface_dice"]) == (1, 0)
    nothing = _measure(empty, empty)
    assert (nothing["hd95_pooled_px"], nothing["hd95_undefined"], nothing["surface_dice"]) == (0, 0, 1)
    got = _summary([missing, nothing, _measure(full, full)])
    assert got["hd95_pooled_px"] == 0
    assert got["hd95_undefined"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("values", "whole"), [((0, 1, 255), True), ((0, 255), False), ((0,), False)])
def test_an_ignored_value_that_leaves_no_class_is_refused(tmp_path, values, whole):
    """Masks of 0 and 255 with ``ignore: 255``: the whole lesion would go unlearned without a word."""
    levels = np.array(values, np.uint8)[np.arange(64).reshape(8, 8) % len(values)]
    Image.fromarray(levels).save(tmp_path / "m.png")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    records = [Record(root=tmp_path, image="a.png", cells={"mask": cell}, where="t.csv:2") for cell in ("", "m.png")]
    config = SegmentationConfig(ignore=255)
    if whole:
        assert config.fitted(records) == config
    else:
        with pytest.raises(AnnotationError, match="no mask of the training records holds a pixel of foreground"):
            config.fitted(records)
