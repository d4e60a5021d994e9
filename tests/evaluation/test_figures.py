"""Which method gives which interval, and who was left out on the way to a figure."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermtl.evaluation.audit.participant_flow import participant_flow
from dermtl.evaluation.metrics.head_metrics import BOOTSTRAP, WILSON, head_metrics
from dermtl.evaluation.metrics.record_scores import HeadScores, RecordScores
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan
from dermtl.statistics.proportion import Proportion

Planned = Callable[[Mapping[str, Any]], dict[str, HeadPlan]]


class Counted:
    """A third party's metrics: ``found`` is a share, ``far`` is a distance that may happen to be 0."""

    primary = "found"

    def measure(self, prediction, annotation):
        return {"found": bool(prediction["hit"]), "far": float(prediction["far"])}

    def summarise(self, rows):
        return {name: float(np.mean(column)) for name, column in rows.items()}


class Plan:
    """As much of a plan as scores ask for."""

    def metrics(self):
        return Counted()


def scored(hits) -> HeadScores:
    scores = RecordScores({"mark": Plan()})  # type: ignore[dict-item]
    for index, hit in enumerate(hits):
        scores.add(index, {"mark.hit": np.array(hit), "mark.far": np.array(0.0)}, {"mark": np.array(0)})
    return scores.scores("mark")


def test_a_declared_share_of_independent_records_has_wilsons_interval() -> None:
    found = head_metrics("mark", Counted(), scored([1, 1, 0, 1]), list("abcd"), resamples=50)
    assert found["found"]["method"] == WILSON
    assert (found["found"]["low"], found["found"]["high"]) == Proportion(3, 4).interval()
    assert found["found"]["wilson"] == list(Proportion(3, 4).interval())


def test_pictures_of_one_group_keep_the_cluster_bootstrap() -> None:
    found = head_metrics("mark", Counted(), scored([1, 1, 0, 0]), list("aabb"), resamples=200)["found"]
    assert found["method"] == BOOTSTRAP
    assert (found["low"], found["high"]) == (0, 1)
    assert found["wilson"] == list(Proportion(2, 4).interval())


def test_numbers_that_happen_to_be_zero_are_no_share() -> None:
    found = head_metrics("mark", Counted(), scored([1, 0]), list("ab"), resamples=50)["far"]
    assert found["method"] == BOOTSTRAP
    assert (found["low"], found["high"]) == (0, 0)


def test_detection_of_circles_is_a_share(planned: Planned) -> None:
    plans = planned({"extent": {"type": "circle"}})
    metrics, scores = plans["extent"].metrics(), RecordScores(plans)
    for index, radius in enumerate((10, 8, 5, 1)):
        scores.add(index, {"extent.circle": np.array([50, 50, radius])}, {"extent": np.array([50, 50, 10], np.float32)})
    found = head_metrics("extent", metrics, scores.scores("extent"), list("abcd"), resamples=50)
    assert found["detection_rate_50"]["value"] == 0.5
    assert {name for name, figure in found.items() if figure["method"] == WILSON} == {
        "detection_rate_50", "detection_rate_75", "detection_rate_90"
    }  # fmt: skip
    assert found["detection_rate_90"]["low"] == pytest.approx(Proportion(1, 4).interval()[0])
    grouped = head_metrics("extent", metrics, scores.scores("extent"), list("aabc"), resamples=50)
    assert all(figure["method"] == BOOTSTRAP for figure in grouped.values())


def test_every_record_is_accounted_for(planned: Planned, tmp_path: Path) -> None:
    from PIL import Image

    plans = planned(
        {
            "diagnosis": {"type": "classification", "classes": ["nevus", "melanoma"]},
            "extent": {"type": "circle", "mask": "mask"},
        }
    )
    Image.new("L", (8, 8)).save(tmp_path / "empty.png")
    Image.new("L", (8, 8), 255).save(tmp_path / "full.png")

    def record(number: int, split: str, label: str, mask: str) -> Record:
        return Record(f"{number}.jpg", tmp_path, {"label": label, "mask": mask}, group=f"g{number // 2}", split=split)

    table = [
        record(0, "test", "nevus", "full.png"), record(1, "test", "", ""), record(2, "test", "melanoma", "empty.png"),
        record(3, "test", "nevus", ""), record(4, "train", "nevus", ""), record(5, "", "nevus", ""),
    ]  # fmt: skip
    nan = float("nan")
    measures = {
        "diagnosis": HeadScores(np.array([0, 2, 3]), {"probability": np.ones((3, 2))}),
        "extent": HeadScores(np.array([0]), {"circle_iou": np.array([nan])}),
    }
    found = participant_flow(table, table[:4], plans, measures)
    assert found["table"] == {"records": 6, "groups": 3}
    assert found["left_out"] == [
        {"why": "in split train", "records": 1, "groups": 1}, {"why": "in no split", "records": 1, "groups": 1}
    ]  # fmt: skip
    assert found["evaluated"] == {"records": 4, "groups": 2}
    assert found["heads"]["diagnosis"] == {
        "left_out": [{"why": "no truth: empty cell in label", "records": 1, "groups": 1}],
        "scored": {"records": 3, "groups": 2},
        "undefined": {},
    }
    assert found["heads"]["extent"]["left_out"] == [
        {"why": "no truth: empty cell in mask", "records": 2, "groups": 2},
        {"why": "no truth: what the table names holds no circle", "records": 1, "groups": 1},
    ]
    assert found["heads"]["extent"]["undefined"] == {"circle_iou": 1}
    for steps in found["heads"].values():
        out = sum(step["records"] for step in steps["left_out"])
        assert out + steps["scored"]["records"] == found["evaluated"]["records"]
