"""Rows of measures, and the figures they sum up to."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermtl.arrays import Array
from dermtl.config.experiment import Backbone, Data, Experiment
from dermtl.config.source import Source
from dermtl.config.training import Stage, Training
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import DataError, PluginContract
from dermtl.evaluation.evaluate import evaluate_target
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.metrics.record_scores import RecordScores, weighted
from dermtl.evaluation.options import EvaluationOptions
from dermtl.evaluation.predict.predict import predict
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan, plan_heads


@pytest.fixture
def plans() -> dict[str, HeadPlan]:
    heads = {
        "diagnosis": {"type": "classification", "classes": ["benign", "malignant"]},
        "extent": {"type": "circle"},
    }
    experiment = Experiment(
        name="x", backbone=Backbone(name="none"), heads=heads, training=Training(stages=[Stage(epochs=1)])
    )  # type: ignore[arg-type]
    return plan_heads(experiment, Source({"heads": heads}))


def values(malignant: float, circle: Sequence[float] = (5, 5, 2)) -> dict[str, Array]:
    return {
        "diagnosis.probability": np.array([1 - malignant, malignant], np.float32),
        "extent.circle": np.array(circle, np.float32),
    }


def test_records_without_a_truth_are_not_scored(plans: dict[str, HeadPlan]) -> None:
    scores = RecordScores(plans)
    scores.add(0, values(0.9), {"diagnosis": np.asarray(1)})
    scores.add(1, values(0.9), {})
    scores.add(2, values(0.2), {"diagnosis": np.asarray(1), "extent": np.array([5, 5, 2], np.float32)})
    assert scores.scores("diagnosis").indices.tolist() == [0, 2]
    assert scores.scores("extent").indices.tolist() == [2]
    assert scores.summary("diagnosis")["accuracy"] == 0.5
    assert scores.summary("extent")["circle_iou"] == pytest.approx(1)


def test_a_head_without_any_truth_has_no_figures(plans: dict[str, HeadPlan]) -> None:
    scores = RecordScores(plans)
    scores.add(0, values(0.9), {"diagnosis": np.asarray(1)})
    assert scores.summary("extent") == {}
    assert scores.scores("extent").table == {}


def test_resampled_rows_are_summed_up_like_all_rows(plans: dict[str, HeadPlan]) -> None:
    scores = RecordScores(plans)
    for index, (malignant, truth) in enumerate([(0.9, 1), (0.8, 0), (0.1, 0)]):
        scores.add(index, values(malignant), {"diagnosis": np.asarray(truth)})
    figures = weighted(plans["diagnosis"].metrics(), scores.scores("diagnosis").table)
    assert figures(np.array([1, 1, 1])) == scores.summary("diagnosis")
    assert figures(np.array([2, 0, 1]))["accuracy"] == 1
    assert figures(np.array([0, 2, 0]))["accuracy"] == 0
    assert np.isnan(figures(np.array([1, 0, 0]))["macro_auroc"])


class Known:
    """Predicts what it was told, in order."""

    size = 64

    def __init__(self, answers: Sequence[Mapping[str, Array]]) -> None:
        self.answers = list(answers)
        self.sizes: list[int] = []

    def predict_values(self, images: Sequence[Array]) -> Sequence[Mapping[str, Array]]:
        self.sizes.append(len(images))
        return [self.answers.pop(0) for _ in images]


@pytest.fixture
def records(drawn: Path) -> list[Record]:
    found = read_manifest(Data(root=drawn))[:5]
    labels = ["malignant", "benign", "", "benign", "malignant"]
    return [
        Record(r.image, r.root, {**r.cells, "label": label}, r.where, group=f"g{index // 2}")
        for index, (r, label) in enumerate(zip(found, labels, strict=True))
    ]


def answers(records: Sequence[Record]) -> list[dict[str, Array]]:
    circles = [[float(record.cells[c]) for c in ("cx", "cy", "r")] for record in records]
    return [values(p, circle) for p, circle in zip([0.9, 0.2, 0.5, 0.7, 0.6], circles, strict=True)]


def test_figures_of_known_answers(plans: dict[str, HeadPlan], records: list[Record]) -> None:
    predictor = Known(answers(records))
    predict(EvaluationTarget(predictor, plans, records), records, batch_size=2)
    assert predictor.sizes == [2, 2, 1]
    target = EvaluationTarget(Known(answers(records)), plans, records)
    found = evaluate_target(target, records, EvaluationOptions(resamples=40), split="test")
    assert found.heads["diagnosis"]["accuracy"]["value"] == 0.75
    assert found.heads["diagnosis"]["accuracy"]["n"] == 4
    assert found.heads["extent"]["circle_iou"]["value"] == pytest.approx(1)
    assert found.heads["extent"]["circle_iou"]["n"] == 5
    assert found.data["records"] == 5
    assert found.data["groups"] == 3
    assert found.data["annotated"] == {"diagnosis": 4, "extent": 5}
    for figures in found.heads.values():
        for figure in figures.values():
            if figure["low"] is not None:
                assert figure["low"] <= figure["value"] <= figure["high"]
    table = found.predictions.table()
    assert table["image"] == [record.image for record in records]
    assert table["diagnosis.probability.malignant"] == pytest.approx([0.9, 0.2, 0.5, 0.7, 0.6])
    assert table["diagnosis.truth.class"] == ["malignant", "benign", "", "benign", "malignant"]


def test_one_group_has_no_interval_and_no_nan(
    plans: dict[str, HeadPlan], records: list[Record], tmp_path: Path
) -> None:
    alone = [Record(r.image, r.root, {**r.cells, "label": "benign"}, r.where, group="one") for r in records]
    target = EvaluationTarget(Known(answers(alone)), plans, alone)
    found = evaluate_target(target, alone, EvaluationOptions(resamples=20))
    accuracy = found.heads["diagnosis"]["accuracy"]
    assert accuracy["value"] is not None
    assert accuracy["low"] is None
    assert accuracy["high"] is None
    assert found.heads["diagnosis"]["macro_auroc"]["value"] is None
    found.write(tmp_path)
    json.loads((tmp_path / "metrics.json").read_text(), parse_constant=refuse)


def refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def test_nothing_to_evaluate(plans: dict[str, HeadPlan]) -> None:
    with pytest.raises(DataError, match="no records"):
        evaluate_target(EvaluationTarget(Known([]), plans, []), [], split="test")


def test_a_primary_metric_that_is_none_is_refused(plans: dict[str, HeadPlan], monkeypatch: pytest.MonkeyPatch) -> None:
    from dermtl_regression.circle.metrics import CircleMetrics

    monkeypatch.setattr(CircleMetrics, "primary", "nonesuch")
    scores = RecordScores(plans)
    assert scores.summary("extent") == {}
    scores.add(0, values(0.9), {"extent": np.array([5, 5, 2.0])})
    with pytest.raises(PluginContract, match="head 'extent': its primary metric 'nonesuch' is none of circle_iou"):
        scores.summary("extent")
    monkeypatch.setattr(CircleMetrics, "primary", None)
    with pytest.raises(PluginContract, match="names no primary metric"):
        RecordScores(plans)
