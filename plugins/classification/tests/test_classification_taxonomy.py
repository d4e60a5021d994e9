"""Classes cut from a tree: what is learned from the training records, what comes out, how levels are judged."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from dermtl_classification.category.config import ClassificationConfig
from dermtl_classification.category.head import ClassificationHead
from dermtl_classification.category.metrics import ClassificationMetrics
from pydantic import ValidationError

from dermtl.api import AnnotationError, FeatureInfo, Features, Nodes, Record

INFO = FeatureInfo(num_pooled=24, channels=(8,), reductions=(32,), image_size=64)
ROWS = {"A/a1": ("one",), "A/a2": (), "B": (), "B/b1": (), "B/b2": (), "B/b3/x": (), "B/b3/y": ()}
COUNTS = {"one": 6, "a2": 3, "B": 1, "b1": 12, "b2": 1, "x": 4, "y": 7}
CLASSES = ("A", "B::own", "B/b1", "B/b2", "B/b3/x", "B/b3/y")
NODES = ("root", "A", "B", "B::own", "B/b1", "B/b2", "B/b3", "B/b3/x", "B/b3/y")


def records(counts=COUNTS):
    labels = [label for label, number in counts.items() for _ in range(number)]
    return [Record(f"{i}.png", Path(), {"label": label}, f"m.csv:{i + 2}") for i, label in enumerate(labels)]


def toy(**keys):
    taxonomy = {"tree": ROWS, "max_class_size": 10, **keys.pop("taxonomy", {})}
    return ClassificationConfig(taxonomy=taxonomy, **keys)


@pytest.fixture
def fitted():
    return toy().fitted(records())


def test_the_classes_are_cut_from_the_training_records(fitted):
    assert fitted.classes == CLASSES
    assert fitted.outputs()["probability"].classes == CLASSES
    assert fitted.outputs()["node_probability"] == Nodes(NODES)
    (document,) = fitted.documents().values()
    assert document["num_images"] == 34
    json.dumps(document, allow_nan=False)


def test_a_fitted_config_survives_json_and_stays(fitted):
    again = ClassificationConfig.model_validate_json(fitted.model_dump_json())
    assert again == fitted
    assert again.target() == fitted.target()
    assert again.documents() == fitted.documents()
    assert fitted.fitted(records({"a2": 50, "x": 50})) == fitted


def test_a_tree_from_a_file_is_kept_in_the_config(tmp_path, fitted):
    (tmp_path / "t.csv").write_text("path,labels\n" + "".join(f"{path},{'|'.join(k)}\n" for path, k in ROWS.items()))
    config = toy(taxonomy={"tree": tmp_path / "t.csv"}).fitted(records())
    (tmp_path / "t.csv").unlink()
    assert config == fitted
    assert config.target().read(records()[0]) == 0


def test_cells_name_nodes_and_mean_classes(fitted):
    kind = fitted.target()
    found = {label: int(kind.read(record)) for label, record in zip(COUNTS, map(one, COUNTS), strict=True)}
    assert found == {"one": 0, "a2": 0, "B": 1, "b1": 2, "b2": 3, "x": 4, "y": 5}
    assert int(kind.read(one("A"))) == 0
    assert int(kind.read(one("B/b3/y"))) == 5
    assert kind.read(one(" ")) is None
    assert kind.core_kind() == fitted.outputs()["probability"]
    assert kind.truth_columns(np.array(4)) == {"class": "B/b3/x"}


def one(label):
    return Record("x.png", Path(), {"label": label}, "m.csv:9")


@pytest.mark.parametrize(
    ("label", "words"),
    [("b4", "'b4' is not in the taxonomy"), ("b3", "no training record shows 'B/b3'")],
)
def test_a_cell_that_means_no_class(fitted, label, words):
    with pytest.raises(AnnotationError, match=words) as caught:
        fitted.target().read(one(label))
    assert caught.value.where == "m.csv:9"


def test_a_name_at_several_places_is_not_guessed():
    config = ClassificationConfig(taxonomy={"tree": {"a/x": (), "b/x": ()}})
    with pytest.raises(AnnotationError, match="stands at several places") as caught:
        config.fitted([one("x")])
    assert "a/x or b/x" in caught.value.hint


def test_weights_priors_and_positives_go_by_classes():
    config = toy(class_weights="auto", positive=["B/b3"]).fitted(records())
    assert config.class_weights["B/b1"] == pytest.approx(config.class_weights["A"] * 9 / 12)
    assert config.positive == ("B/b3/x", "B/b3/y")
    assert toy(positive=["A", "B/b2"]).fitted(records()).positive == ("A", "B/b2")
    with pytest.raises(AnnotationError, match="positive names C"):
        toy(positive=["C"]).fitted(records())
    share = dict.fromkeys(CLASSES, 1 / 6)
    assert toy(deployment_prior=share).fitted(records()).training_prior["B::own"] == 1


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"classes": ["a", "b"]}, "leave classes out"),
        ({"taxonomy": {"min_class_size": 11}}, "is above max_class_size"),
        ({"taxonomy": {"levels": 1}}, "levels"),
        ({"taxonomy": {"tree": {"a//b": []}}}, "a name is empty"),
        ({"taxonomy": {"tree": "t.yaml", "partition": []}}, "filled in by training"),
    ],
)
def test_keys_that_do_not_fit(keys, words):
    with pytest.raises(ValidationError, match=words):
        toy(**keys)


@pytest.mark.parametrize(("level", "cap", "words"), [(4, 10, "levels 0 to 3"), (0, 100, "gives 1 classes")])
def test_a_cut_that_fails(level, cap, words):
    with pytest.raises(AnnotationError, match=words):
        toy(taxonomy={"level": level, "max_class_size": cap}).fitted(records())


def test_the_head_sums_up_the_tree(fitted):
    head = ClassificationHead(fitted, INFO).eval()
    raw = torch.randn(5, len(CLASSES), generator=torch.Generator().manual_seed(0))
    outputs = head.activate(raw)
    assert list(outputs) == list(fitted.outputs())
    found = dict(zip(NODES, outputs["node_probability"].T, strict=True))
    torch.testing.assert_close(found["root"], torch.ones(5))
    torch.testing.assert_close(found["B/b3"], found["B/b3/x"] + found["B/b3/y"])
    torch.testing.assert_close(found["B"], sum(found[name] for name in ("B::own", "B/b1", "B/b2", "B/b3")))
    torch.testing.assert_close(found["A"], outputs["probability"][:, 0])
    assert "sums" not in head.state_dict()


def test_an_ideal_answer_is_a_path_from_the_root(fitted):
    ideal = fitted.perfect_prediction(np.array(4))
    assert [name for name, p in zip(NODES, ideal["node_probability"], strict=True) if p == 1] == [
        "root", "B", "B/b3", "B/b3/x"
    ]  # fmt: skip


def test_levels_are_judged_by_the_mean_of_their_nodes():
    """Esteva: 3-way accuracy is the mean of three accuracies, of sums over the classes below."""
    config = toy(taxonomy={"level": 2}).fitted(records())
    names = config.classes
    assert names == ("A/a1", "A/a2", "B::own", "B/b1", "B/b2", "B/b3/x", "B/b3/y")
    truth = np.array([0, 0, 1, 2, 3, 5, 6])
    probability = np.full((7, 7), 0.02)
    for row, (best, second) in enumerate([(1, 0), (3, 3), (1, 1), (3, 3), (4, 4), (6, 6), (6, 6)]):
        probability[row, best] += 0.5
        probability[row, second] += 0.36
    got = ClassificationMetrics(config).summarise({"probability": probability, "annotation": truth})
    assert got["level1_sensitivity.A"] == pytest.approx(2 / 3)  # one of three taken for B
    assert got["level1_sensitivity.B"] == 1
    assert got["level1_balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert got["level1_accuracy"] == pytest.approx(6 / 7)
    # On level 2 the third record's truth, B itself, is no node; x taken for y is right there.
    assert got["level2_sensitivity.B/b3"] == 1
    assert got["level2_accuracy"] == pytest.approx(3 / 6)
    assert got["level2_balanced_accuracy"] == pytest.approx(np.mean([0, 1, 0, 1]), nan_ok=True)


def test_weights_count_rows():
    config = toy(taxonomy={"level": 2}).fitted(records())
    rng = np.random.default_rng(0)
    rows = {"probability": rng.dirichlet(np.ones(7), 60), "annotation": rng.integers(0, 7, 60)}
    weights, metrics = rng.integers(0, 3, 60), ClassificationMetrics(config)
    got, chosen = metrics.weighted(rows)(weights), np.repeat(np.arange(60), weights)
    assert got == pytest.approx(metrics.summarise({name: values[chosen] for name, values in rows.items()}), nan_ok=True)
    assert "level2_macro_auroc" in got


@pytest.mark.slow
def test_the_sums_are_in_the_exported_graph(fitted, exported_difference):
    difference = exported_difference(ClassificationHead(fitted, INFO), lambda num: Features(torch.randn(num, 24), ()))
    assert max(difference(1), difference(3)) < 1e-5
