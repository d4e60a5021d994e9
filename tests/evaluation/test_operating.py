"""What frozen thresholds do on other records, in subgroups, and by lesion."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from dermtl.config.experiment import Experiment
from dermtl.config.source import Source
from dermtl.errors import InputError, ManifestError
from dermtl.evaluation.decisions.operating_point import operating_point_metrics
from dermtl.evaluation.formatting import interval_text, value_text
from dermtl.evaluation.metrics.calibration import calibration_metrics
from dermtl.evaluation.metrics.proportions import proportions
from dermtl.evaluation.metrics.record_scores import HeadScores
from dermtl.evaluation.predict.probabilities import Probabilities
from dermtl.evaluation.slices.subgroups import By, parse_by, subgroup_metrics
from dermtl.evaluation.slices.units import unit_metrics, unit_names
from dermtl.kinds import Record
from dermtl.plugins.plan import plan_heads
from dermtl.runtime.decision import Decision, Decisions


def binary(scores, truth) -> Probabilities:
    scores, truth = np.asarray(scores, float), np.asarray(truth, bool)
    values, holds = np.stack([scores, 1 - scores], axis=1), np.stack([truth, ~truth], axis=1)
    return Probabilities("d", "d.probability", ("ill", "well"), values, holds, np.arange(len(scores)), True)


def decision(threshold=0.5, doubtful=None) -> Decision:
    return Decision("d", "d.probability", "ill", ("ill",), threshold, doubtful, {"rule": "fixed:0.5"})


def metrics():
    data = {
        "name": "x",
        "backbone": {"name": "resnet18"},
        "heads": {"d": {"type": "classification", "classes": ["ill", "well"]}},
        "training": {"stages": [{"epochs": 1}]},
    }
    return plan_heads(Experiment.model_validate(data), Source(data))["d"].metrics()


def measured(found: Probabilities) -> HeadScores:
    return HeadScores(found.indices, {"probability": found.values, "annotation": found.truth.argmax(axis=1)})


def test_figures_are_those_of_the_table_of_counts():
    truth = [1] * 40 + [0] * 60
    scores = [0.9] * 36 + [0.2] * 4 + [0.9] * 12 + [0.1] * 48
    groups = [str(index) for index in range(100)]
    found = operating_point_metrics(decision(), binary(scores, truth), groups, prevalences=(0.01,), resamples=300)
    assert found["counts"] == {"tp": 36, "fp": 12, "tn": 48, "fn": 4}
    values = {name: figure["value"] for name, figure in found["figures"].items()}
    assert values["sensitivity"] == pytest.approx(0.9)
    assert values["specificity"] == pytest.approx(0.8)
    assert values["ppv"] == pytest.approx(0.75)
    assert values["lr_positive"] == pytest.approx(4.5)
    for figure in found["figures"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    low, high = found["figures"]["sensitivity"]["wilson"]
    assert low == pytest.approx(0.7695, abs=1e-3)
    assert high == pytest.approx(0.9604, abs=1e-3)
    (at,) = found["at_prevalence"]
    assert at["ppv"]["value"] == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.2 * 0.99))
    benefit = dict(zip(found["curve"]["thresholds"], found["curve"]["model"], strict=True))
    assert benefit[0.5] == pytest.approx(36 / 100 - 12 / 100)


def called(tp, fn, fp, tn):
    """Scores and truths with these counts at the threshold 0.5."""
    return [0.9] * tp + [0.1] * fn + [0.9] * fp + [0.1] * tn, [1] * (tp + fn) + [0] * (fp + tn)


def likelihood_ratios(**counts):
    scores, truth = called(**counts)
    groups = [str(index) for index in range(len(scores))]
    figures = operating_point_metrics(decision(), binary(scores, truth), groups, resamples=1000)["figures"]
    return figures["lr_positive"], figures["lr_negative"]


def test_a_likelihood_ratio_that_is_often_infinite_has_no_upper_end():
    positive, _ = likelihood_ratios(tp=80, fn=20, fp=1, tn=99)
    # The one false alarm is in no resample with probability 0.37: far more than the 2.5% above the interval.
    assert stats.binom.pmf(0, 200, 1 / 200) > 0.025
    assert positive["value"] == pytest.approx(80.0)  # 0.8 / 0.01
    assert positive["high"] is None
    assert positive["unbounded"] == ["high"]
    assert positive["redrawn"] == 0
    # Lower end: sensitivity over 1 - specificity with the largest count of false alarms that 2.5% of resamples exceed.
    most = stats.binom.ppf(0.975, 200, 1 / 200)
    assert 0.8 / (most / 80) <= positive["low"] <= 80
    assert interval_text(positive) == f"{positive['low']:.4g} to not bounded"


def test_a_likelihood_ratio_without_a_false_alarm_is_infinite():
    positive, negative = likelihood_ratios(tp=80, fn=20, fp=0, tn=100)
    assert positive == {
        "value": None,
        "low": None,
        "high": None,
        "redrawn": 0,
        "unbounded": ["value", "low", "high"],
    }
    assert value_text(positive) == "not bounded"
    assert negative["value"] == pytest.approx(0.2)
    _, negative = likelihood_ratios(tp=80, fn=20, fp=100, tn=0)
    assert value_text(negative) == "not bounded"


def test_a_likelihood_ratio_of_nothing_to_nothing_is_not_estimable():
    positive, negative = likelihood_ratios(tp=0, fn=20, fp=0, tn=100)
    assert value_text(positive) == "not estimable"
    assert interval_text(positive) == "not estimable"
    assert "unbounded" not in positive
    assert negative["value"] == 1.0


def test_whole_groups_widen_the_intervals():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(30), 5)
    truth, right = np.repeat(rng.random(30) < 0.5, 5), np.repeat(rng.random(30) < 0.7, 5)
    found = binary(np.where(truth == right, 0.9, 0.1), truth)
    wide, narrow = (
        operating_point_metrics(decision(), found, groups, resamples=300)["figures"]["sensitivity"]
        for groups in ([str(name) for name in patient], [str(index) for index in range(150)])
    )
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_an_absent_class_is_not_estimable():
    found = operating_point_metrics(decision(), binary([0.2, 0.9], [0, 0]), ["a", "b"], resamples=20)
    assert found["figures"]["sensitivity"]["value"] is None
    assert found["figures"]["sensitivity"]["wilson"] == [None, None]
    assert found["figures"]["specificity"]["value"] == 0.5


def test_the_doubtful_are_counted_apart():
    scores, truth = [0.1, 0.4, 0.6, 0.9], [0, 1, 0, 1]
    found = operating_point_metrics(decision(doubtful=(0.3, 0.7)), binary(scores, truth), list("abcd"), resamples=20)
    assert found["doubtful"]["n"] == 2
    assert found["doubtful"]["sensitivity"]["value"] == found["doubtful"]["specificity"]["value"] == 1


def test_calibration_before_the_temperature_is_told_apart():
    rng = np.random.default_rng(1)
    honest = rng.uniform(0.02, 0.98, 3000)
    found = binary(honest, rng.random(3000) < honest)
    groups = [str(index) for index in range(3000)]
    figures = calibration_metrics(found, Decisions({"d": 3.0}, (decision(),)), groups, resamples=40)
    assert figures["figures"]["ece"]["value"] < 0.5 * figures["before"]["ece"]
    assert figures["before"]["slope"] == pytest.approx(1 / 3, abs=0.05)
    asked = figures["questions"]["ill"]["figures"]
    assert asked["slope"]["value"] == pytest.approx(1, abs=0.1)
    assert asked["slope"]["low"] < 1 < asked["slope"]["high"]
    assert sum(point["n"] for point in figures["bins"]) == 3000


def test_probabilities_near_1_lose_nothing():
    """1 - p in float32 knows little of what is left; the other classes' sum does."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 7, (400, 4)).astype(np.float32)
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    values = weight / weight.sum(axis=1, keepdims=True)
    noisy = values * (1 + 1e-7 * rng.standard_normal(values.shape)).astype(np.float32)
    truth = np.eye(4, dtype=bool)[np.where(rng.random(400) < 0.7, values.argmax(axis=1), rng.integers(0, 4, 400))]
    settled, groups = Decisions({}, (decision(),)), [str(index // 2) for index in range(400)]
    one, other = (
        calibration_metrics(
            Probabilities(
                "d", "d.probability", ("ill", "b", "c", "d"), given.astype(float), truth, np.arange(400), True
            ),
            settled,
            groups,
            resamples=100,
        )
        for given in (values, (noisy / noisy.sum(axis=1, keepdims=True)).astype(np.float32))
    )
    asked = [found["questions"]["ill"]["figures"] for found in (one, other)]
    for figures, same in ((one["figures"], other["figures"]), asked):
        assert figures["slope"]["value"] < 0.9
        for name, figure in figures.items():
            assert figure == pytest.approx(same[name], abs=1e-6), name


def test_a_line_needs_ten_of_either():
    groups = [str(index) for index in range(60)]
    rng = np.random.default_rng(0)
    for num, known in ((9, False), (10, True)):
        scores, truth = rng.uniform(0.1, 0.9, 60), np.arange(60) < num
        found = calibration_metrics(binary(scores, truth), Decisions({}, (decision(),)), groups, resamples=20)
        asked = found["questions"]["ill"]["figures"]
        assert (asked["slope"]["value"] is not None) == (asked["in_the_large"]["low"] is not None) == known
        assert asked["ece"]["value"] is not None


def record(index: int, **cells: str) -> Record:
    return Record(f"{index}.jpg", Path(), cells, where=f"t.csv:{index + 2}", group=f"g{index}")


def test_columns_and_widths_are_read():
    assert parse_by("skin_type, age:20") == [By("skin_type"), By("age", 20.0)]
    assert By("age", 20.0).value(record(0, age="45")) == "40 to below 60"
    assert By("age", 20.0).value(record(0, age="")) == By("sex").value(record(0, sex=" ")) == "unknown"
    with pytest.raises(ManifestError, match=r"no column 'skin'.*sex"):
        By("skin").value(record(0, sex="f"))
    with pytest.raises(ManifestError, match=r"no column 'sexx'.*did you mean 'sex'"):
        By("sexx").value(record(0, sex="f"))


@given(st.decimals(-1000, 1000, places=3), st.sampled_from(["0.05", "0.1", "0.2", "0.3", "0.4", "2.5", "7", "20"]))
@example(Decimal("0.3"), "0.1")
@example(Decimal("0.6"), "0.2")
@example(Decimal("-0.3"), "0.1")
@example(Decimal("1.2"), "0.1")
def test_a_value_lies_in_the_bin_that_begins_at_or_below_it(number, width):
    """By fractions, which are exact; a value on an edge lies in the bin that begins there."""
    (by,) = parse_by(f"size:{width}")
    low, high = (Fraction(edge) for edge in by.value(record(0, size=str(number))).split(" to below "))
    assert low <= Fraction(str(number)) < high
    assert high - low == Fraction(width)
    assert (low / Fraction(width)).denominator == 1


def test_no_two_bins_share_a_name():
    (by,) = parse_by("id:1")
    assert by.value(record(0, id="1234567")) == "1234567 to below 1234568"
    assert by.value(record(0, id="1234569")) == "1234569 to below 1234570"
    assert By("id", 1e-7).value(record(0, id="0.1234567")) == "0.1234567 to below 0.1234568"
    assert len({by.value(record(0, id=f"1{'0' * 200}{digit}")) for digit in range(10)}) == 10


@pytest.mark.parametrize("text", ["nan", "sNaN", "inf", "-inf", "1e999999999", "about 40", "1/3"])
def test_what_is_no_number_is_unknown(text):
    assert By("age", 20.0).value(record(0, age=text)) == "unknown"


def test_bins_come_by_size():
    ages = ["100", "20", "5", "-3", "x"] * 12
    records = [record(index, age=age) for index, age in enumerate(ages)]
    found = binary(np.linspace(0, 1, len(ages)), np.arange(len(ages)) % 2)
    figures = subgroup_metrics(
        By("age", 2.5), records, {"d": metrics()}, {"d": measured(found)}, {"d": found}, [], resamples=50
    )["d"]
    assert list(figures["groups"]) == [
        "-5 to below -2.5",
        "5 to below 7.5",
        "20 to below 22.5",
        "100 to below 102.5",
        "unknown",
    ]


@pytest.mark.parametrize("text", ["", "sex,", "age:0", "age:x", "age:-5", "sex,sex", "age:nan", ":20"])
def test_what_is_no_column_is_refused(text):
    with pytest.raises(InputError, match="--by"):
        parse_by(text)


def test_the_worst_subgroup_is_named_and_few_are_not_estimable():
    rng = np.random.default_rng(0)
    names = ["A"] * 60 + ["B"] * 40 + ["C"] * 6 + [""] * 30
    truth = rng.random(136) < 0.5
    flipped = (np.array(names) == "B") & (rng.random(136) < 0.4)
    found = binary(np.where(truth != flipped, 0.8, 0.2), truth)
    records = [record(index, skin=name) for index, name in enumerate(names)]
    figures = subgroup_metrics(
        By("skin"), records, {"d": metrics()}, {"d": measured(found)}, {"d": found}, [decision()], resamples=100
    )["d"]
    assert list(figures["groups"]) == ["A", "B", "C", "unknown"]
    assert figures["worst"] == "B"
    worst = figures["groups"]["B"]
    assert worst["low"] <= worst["value"] <= worst["high"] < 1
    assert worst["difference"]["high"] < 0
    assert figures["groups"]["C"]["value"] is None
    assert figures["groups"]["C"]["decisions"]["ill"]["sensitivity"]["value"] is None
    assert figures["groups"]["A"]["decisions"]["ill"]["sensitivity"]["value"] == 1


def test_pictures_of_one_lesion_are_taken_together():
    # Lesion a: mean 0.4, maximum 0.7; lesion b is mixed; lesion c has one picture.
    scores, truth, units = [0.1, 0.7, 0.9, 0.9, 0.2], [1, 1, 1, 0, 0], ["a", "a", "b", "b", "c"]
    found = unit_metrics(binary(scores, truth), units, units, metrics(), [decision()], resamples=20)
    assert (found["n"], found["several"], found["mixed"]) == (2, 1, 1)
    assert found["mean"]["decisions"]["ill"]["sensitivity"]["value"] == 0
    assert found["max"]["decisions"]["ill"]["sensitivity"]["value"] == 1
    assert found["mean"]["metrics"]["accuracy"]["n"] == 2


def test_one_picture_a_lesion_is_not_reported_twice():
    found = unit_metrics(binary([0.1, 0.7], [1, 0]), ["a", "b"], ["a", "b"], metrics(), [], resamples=20)
    assert found == {"n": 2, "several": 0, "mixed": 0}


def test_an_empty_cell_is_a_unit_of_its_own():
    names = unit_names([record(0, lesion_id=""), record(1, lesion_id=""), record(2, lesion_id="x")], "lesion_id")
    assert len(set(names)) == 3


def test_wilson_stands_beside_shares_only():
    found = binary([0.9, 0.9, 0.2, 0.1], [1, 1, 1, 0])
    values = {"accuracy": 0.75, "sensitivity.ill": 2 / 3, "brier": 0.4, "failure_rate": 0.5, "dice": 0.5}
    table = {"failure_rate": np.array([0.0, 1, 1, 0]), "dice": np.array([0.4, 0.6, 0.5, 0.5])}
    counted = proportions(values, table, found)
    assert {name: (share.hits, share.num) for name, share in counted.items()} == {
        "accuracy": (3, 4), "sensitivity.ill": (2, 3), "failure_rate": (2, 4)
    }  # fmt: skip
