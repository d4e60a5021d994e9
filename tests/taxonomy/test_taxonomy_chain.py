"""From a tree to an exported model: what a run keeps, what the graph puts out, what an evaluation says of levels."""

import json

import numpy as np
import pytest

pytestmark = pytest.mark.release

TREE = """\
benign: {melanocytic: {naevus: nevus}, epidermal: {keratosis: }}
malignant: {melanocytic: {melanoma: }, dermal: {sarcoma: }}
"""
CONFIG = """\
name: tree
data: {root: ROOT}
backbone: {name: test_resnet, pretrained: false, image_size: 64}
heads:
  diagnosis:
    type: classification
    taxonomy: {tree: TREE, level: 2, max_class_size: 5}
    positive: [malignant]
training:
  stages: [{epochs: 1, lr: 1e-3}]
  batch_size: 8
  workers: 0
  augmentation: light
"""


@pytest.fixture(scope="module")
def run(drawn, tmp_path_factory):
    from dermtl.training.train import train

    folder = tmp_path_factory.mktemp("tree")
    (folder / "tree.yaml").write_text(TREE)
    config = folder / "tree_experiment.yaml"
    config.write_text(CONFIG.replace("ROOT", str(drawn)).replace("TREE", str(folder / "tree.yaml")))
    return train(config, run=folder / "run").path


@pytest.fixture(scope="module")
def model(run):
    from dermtl.export.export import export_run

    return export_run(run, run / "model.onnx")


def test_the_run_keeps_the_partition(run):
    document = json.loads((run / "partition.json").read_text())["diagnosis"]
    names = [part["name"] for part in document["classes"]]
    assert [name.split("/")[0] for name in names] == ["benign", "benign", "malignant"]
    assert document["num_images"] == sum(part["num_images"] for part in document["classes"])


def test_the_graph_sums_up_the_tree(model, drawn):
    import dermtl

    loaded = dermtl.load(model)
    prediction = loaded.predict(next((drawn / "images").iterdir()))
    found = prediction["diagnosis"]["node_probability"]
    assert found["root"] == pytest.approx(1, abs=1e-6)
    assert found["benign"] == pytest.approx(found["benign/melanocytic"] + found["benign/epidermal"], abs=1e-6)
    assert sum(found[level] for level in ("benign", "malignant")) == pytest.approx(1, abs=1e-6)
    assert prediction["diagnosis"]["label"] in prediction["diagnosis"]["probability"]
    head = loaded.bundle.heads["diagnosis"]["config"]
    assert [part["name"] for part in head["taxonomy"]["partition"]] == head["classes"]
    assert np.asarray(prediction.draw(np.zeros((*prediction.image_hw, 3), np.uint8))).any()


def test_run_and_file_are_judged_alike_at_every_level(run, model, drawn):
    from dermtl.evaluation.evaluate import evaluate_target
    from dermtl.evaluation.evaluation_target import exported_target
    from dermtl.evaluation.options import EvaluationOptions
    from dermtl.runs.evaluation_target import run_target

    found = []
    for subject in (run_target(run), exported_target(model)):
        scored = evaluate_target(subject, subject.records_in("all"), EvaluationOptions(resamples=20))
        assert {"diagnosis.truth.class", "diagnosis.node_probability.malignant"} <= set(scored.predictions.table())
        found.append({metric: figure["value"] for metric, figure in scored.heads["diagnosis"].items()})
    assert {"level1_balanced_accuracy", "level2_balanced_accuracy", "level1_auroc.malignant"} <= set(found[0])
    assert found[0] == pytest.approx(found[1], abs=1e-5, nan_ok=True)
