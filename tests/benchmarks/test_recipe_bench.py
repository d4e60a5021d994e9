"""The bench of recipes: who trains on what, whether truth follows the pixels, its figures, and that it resumes."""

import csv
import json
import random
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("sklearn")

from benchmarks.recipes import __main__ as bench
from benchmarks.recipes import folds
from benchmarks.recipes.datasets import Picture
from benchmarks.recipes.intervals import draws
from benchmarks.recipes.pictures import augment, load, mask_out_of_square, out_of_square
from benchmarks.recipes.scores import circle_iou, dice, metrics
from benchmarks.recipes.store import Predictions


def picture(index, label="a", group=None, **values):
    return Picture(f"{index}.png", "", group or f"g{index}", label, 30, 20, **values)


@pytest.fixture
def pictures():
    return [picture(index, "abc"[index % 3], f"g{index % 3}-{index // 6}") for index in range(180)]


def test_groups_stay_on_one_side_and_every_picture_tests_once(pictures):
    dealt = folds.assign_groups(pictures, 3)
    for fold in dealt:
        sides = {(one.group, fold[one.image]) for one in pictures}
        assert len(sides) == len({group for group, _ in sides})
        assert 0.1 < list(fold.values()).count("val") / len(pictures) < 0.2
    assert all([fold[one.image] for fold in dealt].count("test") == 1 for one in pictures)


def test_few_labels_are_a_classs_training_and_validation_together(pictures):
    sides = folds.assign_groups(pictures, 3)[0]
    chosen = folds.few(pictures, sides, 10, seed=0)
    kept = [(one.label, chosen[one.image]) for one in pictures if chosen.get(one.image, "test") != "test"]
    assert {label: sum(name == label for name, _ in kept) for label in "abc"} == dict.fromkeys("abc", 10)
    assert all(2 <= kept.count((label, "val")) <= 4 for label in "abc")
    assert {image for image, side in chosen.items() if side == "test"} == {i for i, s in sides.items() if s == "test"}
    groups = {(one.group, chosen[one.image]) for one in pictures if one.image in chosen}
    assert len(groups) == len({group for group, _ in groups})


def test_circle_and_outline_follow_the_pixels(tmp_path):
    image = Image.new("L", (301, 200))
    ImageDraw.Draw(image).ellipse((170, 30, 230, 90), fill=255)  # the pixels' outer edges are 170 and 231
    image.save(tmp_path / "disc.png")
    path = str(tmp_path / "disc.png")
    disc = Picture("disc", path, "g", "a", 301, 200, (200.5, 60.5, 30.5), path)
    square, draw = load(disc, 224), random.Random(0)
    for _ in range(40):
        moved = augment(square, draw, upright=False)
        values = np.asarray(moved.mask) / 255
        y, x = np.indices(values.shape) + 0.5
        area = values.sum()
        seen = ((values * x).sum() / area, (values * y).sum() / area, np.sqrt(area / np.pi))
        assert np.abs(np.subtract(seen, moved.circle)).max() < 0.1
    assert out_of_square(disc, square.circle, 224) == pytest.approx(disc.circle)
    back = mask_out_of_square(disc, np.asarray(square.mask, np.float32) / 255, 224)
    assert dice(back, np.asarray(image) > 127) > 0.99


@pytest.mark.parametrize("other", [(550, 450, 150), (400, 500, 80), (900, 900, 50), (480, 500, 200)])
def test_overlap_of_circles_is_that_of_their_pixels(other):
    y, x = np.indices((1000, 1000)) + 0.5
    one, two = ((x - cx) ** 2 + (y - cy) ** 2 < r**2 for cx, cy, r in ((400, 500, 200), other))
    assert circle_iou((400, 500, 200), other) == pytest.approx((one & two).sum() / (one | two).sum(), abs=1e-3)


def test_figures_of_a_case_done_by_hand():
    pictures = [picture(index, label, circle=(10, 10, 4)) for index, label in enumerate("aabb")]
    found = Predictions.none()
    for one, share in zip(pictures, (0.9, 0.4, 0.3, 0.2), strict=True):
        found.labels[one.image] = {"a": share, "b": 1 - share}
        found.circles[one.image] = (10, 13, 4)
    figures = {name: metric(np.arange(4)) for name, metric in metrics(pictures, found).items()}
    assert figures["balanced_accuracy"] == pytest.approx(0.75)
    assert figures["macro_auroc"] == pytest.approx(1.0)
    assert figures["centre_error"] == pytest.approx(3 / 30)
    assert figures["radius_error"] == pytest.approx(0)
    assert figures["detection_rate"] == pytest.approx(0)  # two circles of radius 4, 3 apart: IoU 0.36


def test_groups_are_drawn_whole_and_no_class_is_lost(pictures):
    groups, labels = [one.group for one in pictures], [one.label for one in pictures]
    sizes = {group: groups.count(group) for group in groups}
    for drawn in draws(groups, labels, 20):
        seen = [groups[index] for index in drawn]
        assert all(seen.count(group) % sizes[group] == 0 for group in set(seen))
        assert {labels[index] for index in drawn} == set(labels)


def test_prints_its_table_and_repeats_nothing(tmp_path, monkeypatch, capfd):
    folder = tmp_path / "data" / "bccd"
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "label", "cx", "cy", "r", "group", "width", "height"))
        for index in range(45):
            writer.writerow((f"{index}.jpg", "ab"[index % 2], 20 + index % 3, 15, 8, f"g{index}", 40, 30))
    command = ["recipes", "--data", tmp_path / "data", "--weights", tmp_path, "--out", tmp_path / "out"]
    options = ["--sets", "bccd", "--methods", "constant", "--reference", "constant", "--quick"]
    monkeypatch.setattr(sys, "argv", [*map(str, command), *options])
    bench.main()
    result = tmp_path / "out" / "results" / "32px" / "bccd" / "constant" / "fold0-seed0" / "result.json"
    written = result.stat().st_mtime_ns
    printed = capfd.readouterr().out
    bench.main()
    assert capfd.readouterr().out == printed
    assert result.stat().st_mtime_ns == written
    rows = {row["metric"]: row for row in json.loads(printed.splitlines()[-1])["rows"]}
    assert set(rows) == {"detection_rate", "radius_error", "centre_error"}
    assert rows["detection_rate"]["value"] == 1
    assert rows["radius_error"]["value"] == pytest.approx(0)
    assert 0 < rows["centre_error"]["value"] < 0.05
    assert not list((tmp_path / "out" / "work").iterdir())
