"""From drawn pictures to predictions through the commands alone."""

import csv
import json
import shutil

import numpy as np
import onnx
import pytest
import yaml

from dermtl.runtime.golden import golden_path

pytestmark = pytest.mark.slow


def test_config_show_is_itself_an_experiment(call, tiny_config, tmp_path):
    shown = call("config", "show", tiny_config, "-o", "training.seed=7", "-o", "heads.extent.channels=32")
    assert shown.code == 0, shown.err
    document = yaml.safe_load(shown.out)
    assert document["training"]["seed"] == 7
    assert (
        document["heads"]["extent"] | {"type": "dermtl-regression:circle", "channels": 32}
        == document["heads"]["extent"]
    )
    (tmp_path / "again.yaml").write_text(shown.out)
    assert call("config", "show", tmp_path / "again.yaml").out == shown.out


def test_train_writes_a_whole_run(call, tiny_config, tmp_path):
    done = call("train", tiny_config, "--run", tmp_path / "run")
    assert (done.code, done.out) == (0, f"trained: {tmp_path / 'run'}\n")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.yaml", "run.json", "metrics.csv", "splits.csv", "last.safetensors", "best.safetensors"} <= names
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "finished"
    assert call("config", "show", tmp_path / "run" / "config.yaml").code == 0
    again = call("train", tiny_config, "--run", tmp_path / "run")
    assert again.code == 2
    assert "exists already" in again.err


def test_export_writes_and_checks(call, tiny_run, tmp_path):
    done = call("export", tiny_run, "--out", tmp_path / "deep" / "m.onnx")
    assert done.code == 0, done.err
    assert done.out.startswith(f"exported: {tmp_path / 'deep' / 'm.onnx'} (")
    assert "DIFFERS" not in done.out
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["m.golden.zip", "m.onnx", "m.onnx.sha256"]
    assert call("verify", tmp_path / "deep" / "m.onnx").code == 0


def test_verify_finds_a_changed_model(call, tiny_model, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(golden_path(tiny_model), golden_path(path))
    model = onnx.load(tiny_model)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.raw_data) > 2000:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.roll(values, 1), tensor.name))
    onnx.save(model, path)
    done = call("verify", path)
    assert (done.code, done.err) == (1, "")
    assert "DIFFERS" in done.out
    rows = json.loads(call("verify", path, "--json").out)
    assert {row["path"] for row in rows} == {"golden-graph", "golden-host"}
    assert not all(row["ok"] for row in rows)


@pytest.mark.parametrize("damage", ["cut", "absent", "text"])
def test_verify_without_whole_golden_samples(call, tiny_model, tmp_path, damage):
    path = tmp_path / "model.onnx"
    shutil.copy(tiny_model, path)
    if damage != "absent":
        content = golden_path(tiny_model).read_bytes()[:5000] if damage == "cut" else b"not a zip"
        golden_path(path).write_bytes(content)
    done = call("verify", path)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith(f"error: {golden_path(path)}: ")


def test_verify_with_the_samples_of_another_model(call, tiny_model, tmp_path):
    """Of equal outputs, but other classes: the shapes do not fit."""
    from dermtl.runtime.golden import read_golden, write_golden

    path = tmp_path / "model.onnx"
    shutil.copy(tiny_model, path)
    golden = read_golden(golden_path(tiny_model))
    other = [answer | {"diagnosis.probability": np.full(5, 0.2, np.float32)} for _, answer in golden]
    write_golden(golden_path(path), [sample for sample, _ in golden], other)
    done = call("verify", path)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert "the golden samples are another model's" in done.err


def test_a_run_and_its_model_score_alike(call, tiny_run, tiny_model, tmp_path):
    figures = {}
    for subject in (tiny_run, tiny_model):
        out = tmp_path / subject.name
        done = call("evaluate", subject, "--split", "train", "--resamples", 20, "--out", out)
        assert done.code == 0, done.err
        assert {path.name for path in out.iterdir()} >= {"metrics.json", "predictions.csv", "report.html"}
        figures[subject] = json.loads((out / "metrics.json").read_text())["heads"]
        with (out / "predictions.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {"image", "group", "diagnosis.probability.nevus", "extent.circle.r"} <= set(rows[0])
    of_run, of_model = figures[tiny_run], figures[tiny_model]
    assert of_run.keys() == of_model.keys() == {"diagnosis", "extent", "outline"}
    for head in of_run:
        for metric, figure in of_run[head].items():
            assert of_model[head][metric]["n"] == figure["n"]
            if figure["value"] is not None:
                assert of_model[head][metric]["value"] == pytest.approx(figure["value"], abs=1e-2, rel=1e-2)


def test_evaluate_on_another_table(call, tiny_model, drawn, tmp_path):
    arguments = [
        "evaluate",
        tiny_model,
        "--manifest",
        drawn / "manifest.csv",
        "--resamples",
        20,
        "--out",
        tmp_path / "e",
    ]
    done = call(*arguments)
    assert done.code == 2  # the table has no split column
    assert "no record is in split 'test'" in done.err
    assert not (tmp_path / "e").exists()
    done = call(*arguments, "--split", "all")
    assert done.code == 2
    assert "the model was trained on what this table holds" in done.err
    assert call(*arguments, "--split", "all", "--allow-leakage").code == 0
    assert len((tmp_path / "e" / "predictions.csv").read_text().splitlines()) == 1 + 24
    done = call(*arguments, "--split", "dev")
    assert (done.code, len(done.err.splitlines())) == (2, 1)


def test_predict_writes_a_row_a_picture(call, tiny_model, drawn, tmp_path):
    out = tmp_path / "p.jsonl"
    done = call("predict", tiny_model, drawn / "images", "--out", out, "--overlay", tmp_path / "overlays")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 24
    assert set(rows[0]) == {"image", "width", "height", "diagnosis", "extent", "outline"}
    assert set(rows[0]["diagnosis"]["probability"]) == {"keratosis", "melanoma", "nevus"}
    assert len(list((tmp_path / "overlays").rglob("*.*"))) == 24


def test_predict_tells_of_a_broken_picture_and_goes_on(call, tiny_model, drawn, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("00000.jpg", "00001.jpg"):
        shutil.copy(drawn / "images" / name, folder)
    (folder / "00000b.jpg").write_bytes((drawn / "images" / "00002.jpg").read_bytes()[:400])
    done = call("predict", tiny_model, folder)
    assert done.code == 1
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [("error" in row) for row in rows] == [False, True, False]
    assert "1 of 3 pictures could not be predicted" in done.err
