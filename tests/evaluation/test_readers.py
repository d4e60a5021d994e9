"""Readers against a model's curve. The readers here are made up; no clinician decided anything."""

import csv
import json

import numpy as np
import pytest

from dermtl.errors import DataError, InputError, ManifestError
from dermtl.evaluation.formatting import below_text
from dermtl.evaluation.readers.decision import ReaderDecision, find_reader_decision
from dermtl.evaluation.readers.plot import readers_svg
from dermtl.evaluation.readers.study import ReaderStudy, sensitivity_at
from dermtl.evaluation.readers.table import read_reader_decisions, read_study
from dermtl.runtime.decision import Decision, Decisions
from dermtl.statistics.ranking import Ranking

POSITIVE = np.arange(10) < 4
SCORES = np.array([0.9, 0.8, 0.4, 0.3, 0.7, 0.35, 0.2, 0.1, 0.05, 0.01])


def study(**readers):
    groups = [str(i) for i in range(len(SCORES))]
    return ReaderStudy(SCORES, POSITIVE, groups, {name: np.array(d, float) for name, d in readers.items()})


def decide(hits, alarms):
    """Decisions with so many hits among the 4 positives and alarms among the 6 negatives."""
    return [1.0] * hits + [0.0] * (4 - hits) + [1.0] * alarms + [0.0] * (6 - alarms)


def test_the_curve_between_its_points():
    curve = Ranking(SCORES, POSITIVE).curve()
    # Points (specificity, sensitivity): (1, 0.5), (5/6, 0.5), (5/6, 0.75), (4/6, 0.75), (4/6, 1).
    assert sensitivity_at(curve, 1) == pytest.approx(0.5)
    assert sensitivity_at(curve, 5 / 6) == pytest.approx(0.75)
    assert sensitivity_at(curve, 0.75) == pytest.approx(0.75)
    assert sensitivity_at(curve, 4 / 6) == sensitivity_at(curve, 0) == 1
    assert sensitivity_at(Ranking(np.array([0.5, 0.5]), np.array([True, False])).curve(), 0.7) == pytest.approx(0.3)
    assert np.isnan(sensitivity_at(Ranking(SCORES, POSITIVE | True).curve(), 0.5))


def test_who_lies_below():
    found = study(below=decide(2, 1), on=decide(3, 1), above=decide(3, 0)).summarise(resamples=50)
    assert {name: reader["is_below"] for name, reader in found["readers"].items()} == {
        "below": True, "on": False, "above": False
    }  # fmt: skip
    assert found["readers"]["below"]["gain"]["value"] == pytest.approx(0.25)
    assert found["below"]["value"] == 1
    assert found["below"]["of"] == 3
    assert found["mean"]["sensitivity"]["value"] == pytest.approx((2 + 3 + 3) / 12)
    assert found["mean"]["specificity"]["value"] == pytest.approx((5 + 5 + 6) / 18)
    json.dumps(found, allow_nan=False)


def test_a_reader_is_held_against_the_curve_on_the_pictures_read():
    """On the six easy pictures the model is perfect, so a reader with a miss lies below there."""
    easy = np.array([1, 1, 0, 0, 0, 0, 1, 1, 1, 1], bool)
    decisions = np.where(easy, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], np.nan)
    partly = study(part=decisions, other=decide(3, 1))
    found = partly.summarise(resamples=20)
    assert not partly.is_complete
    assert not found["data"]["everybody_read_all"]
    assert found["readers"]["part"]["n"] == 6
    assert found["readers"]["part"]["gain"]["value"] == pytest.approx(0.5)
    assert found["readers"]["other"]["is_below"] is False


def test_a_reader_of_healthy_skin_alone_is_no_point():
    """Without a positive picture there is no sensitivity, so it cannot be said who lies below."""
    decisions = np.where(POSITIVE, np.nan, 0)
    made = study(healthy=decisions, other=decide(3, 1))
    found = made.summarise(resamples=20)
    assert found["readers"]["healthy"]["sensitivity"]["value"] is None
    assert found["readers"]["healthy"]["is_below"] is None
    assert found["below"]["value"] is None
    assert "not estimable" in below_text(found["below"])
    assert "<svg" in readers_svg(made, found, decision="ill")


def test_the_interval_covers_the_truth():
    """Readers of a known distance from a known curve, in 60 studies of 150 pictures; 95% intervals of one gain."""
    rng, hits = np.random.default_rng(0), 0
    positive = np.arange(150) < 60
    large = rng.normal(np.repeat([1.5, 0.0], 100_000), 1)  # the model at large: d' = 1.5
    threshold = np.quantile(large[100_000:], 0.8)
    truth = (large[:100_000] > threshold).mean() - 0.6
    for _ in range(60):
        scores = rng.normal(positive * 1.5, 1)
        decisions = np.where(positive, rng.random(150) < 0.6, rng.random(150) < 0.2).astype(float)
        made = ReaderStudy(scores, positive, [str(i) for i in range(150)], {"r": decisions})
        gain = made.summarise(resamples=200)["readers"]["r"]["gain"]
        hits += gain["low"] <= truth <= gain["high"]
    assert hits >= 51  # 95% of 60 is 57; fewer than 51 has a chance of 0.4%


@pytest.fixture
def tables(tmp_path):
    predictions = tmp_path / "predictions.csv"
    header = (
        "image,group,d.probability.a/x,d.probability.b,d.node_probability.a,d.truth.class,t.probability.b,t.truth.b\n"
    )
    rows = [f"{i}.jpg,g{i},{p},{1 - p},{p},{'a/x' if p > 0.45 else 'b'},{p},{int(p > 0.3)}\n" for i, p in
            enumerate(np.linspace(0, 1, 8).round(3))]  # fmt: skip
    predictions.write_text(header + "".join(rows))
    readers = tmp_path / "readers.csv"
    rows = [f"{r},{i}.jpg,{int(i + shift > 4)}\n" for r, shift in (("ann", 0), ("bob", 2)) for i in range(8)]
    readers.write_text("reader,image,decision\n" + "".join(rows))
    return predictions, readers


@pytest.mark.parametrize(
    ("names", "words"),
    [(["c"], "no head knows c"), (["b"], "d and t know b"), (["a", "a/x"], "'a/x' lies below 'a'")],
)
def test_names_that_ask_nothing(tables, names, words):
    with pytest.raises(ManifestError, match=words):
        read_study(*tables, positive=names)


def test_what_is_asked_of_classes_nodes_and_tags(tables):
    predictions, _readers = tables
    header = predictions.read_text().splitlines()[0].split(",")
    table = {
        "image": "x",
        "d.truth.class": "a/x",
        "t.truth.b": "1",
        "d.probability.b": "0.25",
        "d.probability.a/x": "0.5",
    }
    table = {column: [cell] for column, cell in table.items()}
    assert ReaderDecision.find(header, ["b"], "d").positives(table, [0]).tolist() == [False]
    assert ReaderDecision.find(header, ["a"]).positives(table, [0]).tolist() == [True]
    assert ReaderDecision.find(header, ["b"], "t").positives(table, [0]).tolist() == [True]
    assert ReaderDecision.find(header, ["b", "a/x"]).scores(table, [0]) == pytest.approx([0.75])
    with pytest.raises(ManifestError, match="no truth"):
        ReaderDecision.find(header, ["b"], "t").positives({"image": ["x"]}, [0])


@pytest.mark.parametrize("column", ["image", "group"])
def test_a_table_without_its_pictures_or_groups_is_refused(tables, column):
    """The bootstrap draws groups: without them there is no interval."""
    predictions, _ = tables
    predictions.write_text(predictions.read_text().replace(f"{column},", f"{column}s,", 1))
    with pytest.raises(DataError, match=f"has no column '{column}'"):
        read_study(*tables, positive=["a"])


def test_columns_in_memory_are_as_those_of_the_file(tables):
    """What was just predicted holds numbers, where the file holds text; a tag that is not there is 0, not nothing."""
    predictions, readers = tables
    with predictions.open(newline="") as file:
        rows = [
            {
                column: cell if column in ("image", "group", "d.truth.class") else float(cell)
                for column, cell in row.items()
            }
            for row in csv.DictReader(file)
        ]
    table = {column: [row[column] for row in rows] for column in rows[0]}
    for names, head in ((["a"], None), (["b"], "t")):
        decision = ReaderDecision.find(table, names, head)
        made = read_reader_decisions(readers, decision, set(table["image"]), listed="memory").beside(table)
        stored = read_study(predictions, readers, positive=names, head=head)
        assert np.array_equal(made.scores, stored.scores)
        assert np.array_equal(made.positive, stored.positive)
        assert made.groups == stored.groups


def test_the_decision_is_the_frozen_one_unless_named(planned):
    plans = planned(
        {
            "d": {"type": "classification", "classes": ["a", "b"]},
            "t": {"type": "tags", "labels": ["x", "y"]},
            "m": {"type": "segmentation"},
        }
    )
    one, other = (Decision("d", "d.probability", name, (name,), 0.5) for name in "ab")
    assert find_reader_decision(plans, Decisions(binary=(one,)), ()).positive == ("a",)
    assert find_reader_decision(plans, Decisions(), ("y",)).head == "t"
    with pytest.raises(InputError, match="Frozen decisions: a, b"):
        find_reader_decision(plans, Decisions(binary=(one, other)), ())
    with pytest.raises(ManifestError, match="no head knows z"):
        find_reader_decision(plans, Decisions(), ("z",))


def test_all_of_one_kind_is_refused(tables):
    predictions, readers = tables
    readers.write_text("reader,image,decision\nann,7.jpg,1\n")
    with pytest.raises(ManifestError, match="all are a"):
        read_study(predictions, readers, positive=["a"])


def test_readers_made_up_from_real_labels(shared):
    """PH2: labels are real, scores and readers are drawn; readers noisier than the model lie below it."""
    with (shared / "data" / "ph2" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    positive = np.array([row["label"] == "melanoma" for row in rows])
    groups = [row["group"] or row["image"] for row in rows]
    rng = np.random.default_rng(0)
    worse = {f"r{i}": (rng.normal(positive * 0.8, 1) > 0.5).astype(float) for i in range(10)}
    better = {f"s{i}": (rng.normal(positive * 5.0, 1) > 2.5).astype(float) for i in range(5)}
    made = ReaderStudy(rng.normal(positive * 2.0, 1), positive, groups, {**worse, **better})
    found = made.summarise(resamples=200)
    assert 9 <= found["below"]["value"] <= 11
    assert found["below"]["low"] <= found["below"]["value"] <= found["below"]["high"]
    assert found["data"]["positive"] == 27
