"""Scores beside timings: on what none of the models was trained on, and only where there are truths."""

import json
import shutil

import pytest
from click.testing import CliRunner

from dermtl.errors import DataError
from dermtl.evaluation.benchmark_accuracy import measure_accuracy

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.release


def benchmark(*arguments):
    from dermtl.cli.benchmark import benchmark as command

    return CliRunner().invoke(command, [*map(str, arguments), "--rounds", "1"])


@pytest.fixture
def model(exported, tmp_path):
    """Away from any run."""
    return shutil.copy(exported, tmp_path / "model.onnx")


def test_each_heads_main_metric_with_its_interval(model, drawn, tmp_path):
    done = benchmark(model, "--data", drawn, "--json", "--plot", tmp_path / "plot.svg")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["left_out"] == 0
    scores = {score["head"]: score for score in document["contenders"][0]["scores"]}
    assert set(scores) == {"diagnosis", "extent", "outline"}
    for score in scores.values():
        assert score["low"] <= score["value"] <= score["high"]
        assert score["n"] == document["scored"]
    assert b"primary metric" in (tmp_path / "plot.svg").read_bytes()


def test_the_table_has_them_for_models_that_can_be_scored(model, drawn, tmp_path):
    shape = ["N", 3, 20, 20]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["pixels"], ["same"])],
        "foreign",
        [onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("same", onnx.TensorProto.FLOAT, shape)],
    )
    foreign = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    (tmp_path / "foreign.onnx").write_bytes(foreign.SerializeToString())
    done = benchmark(model, "--data", drawn / "manifest.csv", "--against", tmp_path / "foreign.onnx")
    assert done.exit_code == 0, done.output
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("diagnosis."))
    assert "n=" in line
    assert line.endswith(" -")


def test_a_folder_without_a_table_is_only_timed(model, drawn):
    done = benchmark(model, "--data", drawn / "images", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["contenders"][0]["scores"] == []


def test_what_was_trained_on_is_left_out(exported, run_folder, drawn, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    model = shutil.copy(exported, run / "model.onnx")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("root: pictures", f"root: {drawn}"))
    images = [line.split(",")[0] for line in (drawn / "manifest.csv").read_text().splitlines()[1:]]
    sides = ["train" if index < len(images) // 2 else "test" for index in range(len(images))]
    rows = [f"{image},{image},{side}\n" for image, side in zip(images, sides, strict=True)]
    (run / "splits.csv").write_text("image,group,split\n" + "".join(rows))
    scored = measure_accuracy([model], drawn / "manifest.csv")
    assert {record.image for record in scored.records} <= set(images[len(images) // 2 :])
    assert scored.left_out + len(scored.records) == len(images)
    (run / "splits.csv").write_text("image,group,split\n" + "".join(rows).replace(",test", ",val"))
    with pytest.raises(DataError, match="every picture"):
        measure_accuracy([model], drawn / "manifest.csv")
