import json
import subprocess
import sys

import numpy as np
import pytest

from dermtl.errors import BundleError
from dermtl.runtime.benchmark import BATCHES, benchmark
from dermtl.runtime.contender import Contender, onnx_contender

onnx = pytest.importorskip("onnx")


def command(*arguments):
    line = [sys.executable, "-m", "dermtl", "benchmark", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


def write_mean(path, shape):
    """A float network of another make: the mean colour."""
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["pixels"], ["colour"])],
        "g",
        [helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("colour", onnx.TensorProto.FLOAT, ["N", 3, 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def wholes(pictures):
    for name in ("cut.jpg", "text.jpg"):
        (pictures / name).unlink()
    return pictures


def test_figures_of_two_files(model_path, wholes, tmp_path):
    other = write_mean(tmp_path / "other.onnx", ["N", 3, 20, 20])
    done = command(model_path, "--data", wholes, "--against", other, "--rounds", 1, "--threads", 1, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["threads"] == 1
    ours, theirs = document["contenders"]
    assert (ours["name"], theirs["name"]) == ("model.onnx", "other.onnx")
    assert set(ours["images_s"]) == {str(batch) for batch in BATCHES}
    assert 0 < ours["decode_ms"] <= ours["latency_p95_ms"]
    assert ours["latency_p50_ms"] <= ours["latency_p95_ms"]
    assert ours["cold_start_s"] > 0.05
    assert theirs["cold_start_s"] is None
    assert ours["file_mb"] == pytest.approx(model_path.stat().st_size / 1e6)


def test_the_table(model_path, wholes):
    done = command(model_path, "--data", wholes, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    assert "latency p95, ms" in done.stdout
    assert "pictures/s, batch 32" in done.stdout


def test_two_files_of_one_name_are_told_apart(model_path, wholes, tmp_path):
    other = write_mean(tmp_path / model_path.name, ["N", 3, 20, 20])
    done = command(model_path, "--data", wholes, "--against", other, "--rounds", 1, "--json")
    assert done.returncode == 0, done.stderr
    names = [contender["name"] for contender in json.loads(done.stdout)["contenders"]]
    assert names == [str(model_path), str(other)]


def test_contenders_take_turns(pictures):
    seen = []
    contenders = [Contender(name, lambda file: file, lambda ready, name=name: seen.append(name)) for name in "ab"]
    benchmark(contenders, [pictures / "wide.jpg"], rounds=3)
    turns = [name for index, name in enumerate(seen) if index == 0 or seen[index - 1] != name]
    assert turns == ["a", "b"] * 4  # once to warm up, then three rounds


@pytest.mark.parametrize("shape", [["N", 3], ["N", 1, 20, 20]])
def test_an_input_that_is_no_picture_is_refused(tmp_path, shape):
    helper = onnx.helper
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="expected one input"):
        onnx_contender(tmp_path / "other.onnx", 32, 1)


def test_a_network_of_open_size_sees_the_models_size(tmp_path, pictures):
    contender = onnx_contender(write_mean(tmp_path / "other.onnx", ["N", 3, "H", "W"]), 32, 1)
    ready = contender.prepare(pictures / "wide.jpg")
    assert ready.shape == (3, 32, 32)
    (colour,) = contender.run([ready, ready])
    np.testing.assert_allclose(colour[0, :, 0, 0], ready.mean(axis=(1, 2)), atol=1e-5)


def test_data_without_a_picture(model_path, tmp_path):
    done = command(model_path, "--data", tmp_path)
    assert done.returncode == 2
    assert "no picture found" in done.stderr
