"""The worst pictures of an evaluation, explained for its report."""

import csv

import pytest

from dermtl.errors import ConfigError
from dermtl.evaluation.predict.predict import predict
from dermtl.evaluation.report.explained import write_names
from dermtl.explain import case
from dermtl.explain.worst import explain_worst
from dermtl.runs.evaluation_target import run_target


@pytest.fixture(scope="module")
def evaluated(explained_run):
    """The predictions of eight pictures, and these."""
    subject = run_target(explained_run)
    records = subject.records[:8]
    return predict(subject, records), records


def test_every_head_with_probabilities_shows_its_worst(loaded, evaluated, tmp_path):
    predictions, records = evaluated
    found = explain_worst(loaded, predictions, records, num=3)
    assert list(found) == ["diagnosis", "any"]
    for explained in found.values():
        losses = [one.loss for one in explained.cases]
        assert losses == sorted(losses, reverse=True)
        assert [method.title for method in explained.methods] == ["input gradient", "Grad-CAM"]
        assert not explained.missing
        shown = {method.title for method in explained.methods if "left out" not in method.outcome}
        for one in explained.cases:
            assert set(one.pictures) == {"as the network sees it", *shown}
            assert all(url.startswith("data:image/jpeg;base64,") for url in one.pictures.values())
            assert one.image not in one.name
    write_names(tmp_path / "explained.csv", found)
    with (tmp_path / "explained.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["head"], row["image"]) for row in rows] == [
        (head, one.image) for head, explained in found.items() for one in explained.cases
    ]


def test_a_backbone_without_a_last_map_says_so(loaded, evaluated, monkeypatch):
    def refuse(score, image):
        raise ConfigError("this backbone has no last map")

    monkeypatch.setattr(case, "METHODS", {**case.METHODS, "grad_cam": refuse})
    predictions, records = evaluated
    explained = explain_worst(loaded, predictions, records, num=1)["diagnosis"]
    assert [method.title for method in explained.methods] == ["input gradient"]
    assert "no last map" in explained.missing
