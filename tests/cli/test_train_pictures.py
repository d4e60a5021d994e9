"""``dermtl train FOLDER``: from pictures to a verified model in one command; and the short options."""

import csv

import onnxruntime
import pytest
import yaml
from sklearn.metrics import confusion_matrix

TINY = (
    "--backbone",
    "test_resnet",
    "-o",
    "backbone.pretrained=false",
    "--size",
    "64",
    "--epochs",
    "1",
    "--device",
    "cpu",
)


@pytest.mark.slow
def test_from_a_folder_to_a_verified_model(call, drawn, tmp_path):
    run = tmp_path / "run"
    done = call("train", drawn, "--run", run, *TINY, "-o", "training.workers=0", "--seed", "3")
    assert done.code == 0, done.err
    assert {path.name for path in run.iterdir()} >= {"experiment.yaml", "model.onnx", "curves.png", "batch.jpg"}
    assert (run / "evaluation" / "test" / "report.html").is_file()
    session = onnxruntime.InferenceSession(run / "model.onnx")
    assert {output.name for output in session.get_outputs()} == {"label.probability", "outline.mask", "circle.circle"}
    stored = yaml.safe_load((run / "config.yaml").read_text())
    assert (stored["training"]["seed"], stored["training"]["stages"][0]["epochs"]) == (3, 1)
    assert f"model        {run / 'model.onnx'}" in done.out
    assert "golden-host" in done.out
    with (run / "evaluation" / "test" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label.truth.class"] for row in rows} | set(stored["heads"]["label"]["classes"]))
    likeliest = [max(classes, key=lambda name: float(row[f"label.probability.{name}"])) for row in rows]
    expected = confusion_matrix([row["label.truth.class"] for row in rows], likeliest, labels=classes)
    for name, counts in zip(classes, expected.tolist(), strict=True):
        assert [name, *map(str, counts)] in [line.split() for line in done.out.splitlines()]
    again = call("train", drawn, "--run", run, *TINY)
    assert (again.code, "exists already" in again.err) == (2, True)


def test_a_training_that_is_refused_leaves_no_folder(call, drawn, tmp_path):
    done = call("train", drawn, "--run", tmp_path / "run", *TINY, "-o", "data.split.column=nope")
    assert (done.code, "nope" in done.err) == (2, True)
    assert not (tmp_path / "run").exists()


def test_init_writes_the_file_alone(call, drawn, tmp_path):
    done = call("init", drawn, "--out", tmp_path / "e.yaml")
    assert (done.code, [path.name for path in tmp_path.iterdir()]) == (0, ["e.yaml"])
    assert call("config", "show", tmp_path / "e.yaml").code == 0
    assert call("init", drawn, "--out", tmp_path / "e.yaml").code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--label", "dx"), "--label: only for a folder or a table"),
        (("--weights", "w.safetensors", "--group", "p"), "--group, --weights: only for"),
    ],
)
def test_columns_are_refused_with_an_experiment_file(call, tiny_config, arguments, words):
    done = call("train", tiny_config, *arguments)
    assert (done.code, words in done.err) == (2, True), done.err


def test_a_run_is_no_folder_of_pictures(call, tiny_run):
    done = call("train", tiny_run)
    assert (done.code, f"--run {tiny_run} --resume" in done.err) == (2, True), done.err


def test_folds_and_resume_take_an_experiment_file(call, drawn):
    assert "--folds: only for an experiment file" in call("train", drawn, "--folds", "3").err


def test_epochs_of_several_stages_are_asked_for_by_stage(call, tiny_config, tmp_path):
    stages = "-o", "training.stages=[{epochs: 1},{epochs: 1}]"
    done = call("train", tiny_config, *stages, "--epochs", "3", "--run", tmp_path / "run")
    assert (done.code, "the experiment has 2 stages" in done.err) == (2, True), done.err
