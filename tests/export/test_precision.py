"""Lower precision: what is written answers alike, and what would lose too much is not written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import dermtl
from dermtl.runtime.parity import graph_outputs

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.release
FLOAT_ONLY = {"Resize", "Floor", "Softmax", "Sigmoid", "Pad"}


@pytest.fixture(scope="module")
def squares(draw_blocks):
    return list(draw_blocks(48, 48, num=12))


@pytest.fixture(scope="module")
def network(exported):
    """The exported model's bytes, its layers, and what they were on pictures."""
    from dermtl.export.precision.layers import find_layers

    content = exported.read_bytes()
    return content, find_layers(onnx.load_from_string(content).graph)


@pytest.fixture(scope="module")
def seen(network, squares):
    from dermtl.export.precision.activations import collect

    return collect(*network, squares)


@pytest.fixture(scope="module")
def eighth(network, seen):
    from dermtl.export.precision.quantise import quantise

    return quantise(*network, seen.ranges["minmax"], seen.means)


def test_half_precision_is_half_the_file_and_answers_alike(exported, squares, tmp_path):
    from dermtl.export.float16 import store_as_float16

    content = store_as_float16(exported.read_bytes())
    weights = sum(len(tensor.raw_data) for tensor in onnx.load(exported).graph.initializer)
    assert len(content) < exported.stat().st_size - 0.45 * weights
    (tmp_path / "half.onnx").write_bytes(content)
    half, whole = dermtl.load(tmp_path / "half.onnx"), dermtl.load(exported)
    for square in squares[:3]:
        one, other = graph_outputs(half, square), graph_outputs(whole, square)
        assert np.abs(one["diagnosis.probability"] - other["diagnosis.probability"]).max() < 0.02
        assert max(np.abs(one[name] - other[name]).max() for name in one) > 0


def test_eight_bits_hold_the_network_and_leave_the_way_in_and_out_alone(eighth):
    model = onnx.load_from_string(eighth)
    onnx.checker.check_model(model)
    assert {entry.domain for entry in model.opset_import} == {""}
    assert {node.domain for node in model.graph.node} == {""}
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert len(weights) > 5
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    # A letterbox in 256 steps of an activation's range would round coordinates and colours.
    for node in model.graph.node:
        if node.op_type in ("Resize", "Floor", "Pad") and node.name.startswith("node_pad"):
            assert makers.get(node.input[0]) != "DequantizeLinear"
    zero_points = {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    kinds = {tensor.data_type for tensor in model.graph.initializer if tensor.name in zero_points}
    assert kinds <= {onnx.TensorProto.UINT8, onnx.TensorProto.INT8}
    assert onnx.TensorProto.UINT8 in kinds


def test_eight_bits_are_loaded_checked_and_answer_much_alike(exported, eighth, squares, tmp_path):
    (tmp_path / "int8.onnx").write_bytes(eighth)
    model, whole = dermtl.load(tmp_path / "int8.onnx"), dermtl.load(exported)
    assert model.bundle == whole.bundle
    assert model.session.get_inputs()[0].type == "tensor(uint8)"
    for square in squares[:3]:
        one, other = graph_outputs(model, square), graph_outputs(whole, square)
        assert np.abs(one["diagnosis.probability"] - other["diagnosis.probability"]).max() < 0.25
        assert one["outline.mask"].shape == other["outline.mask"].shape


def test_the_layers_are_the_network_without_each_heads_last_one(network):
    graph = onnx.load_from_string(network[0]).graph
    nodes = {node.name: node for node in graph.node}
    weighted = [node.name for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    firsts = [layer.nodes[0] for layer in network[1]]
    assert firsts == [name for name in weighted if name in firsts]
    assert len(weighted) - len(firsts) == 3  # one a head
    chosen = [name for layer in network[1] for name in layer.nodes]
    assert len(set(chosen)) == len(chosen)
    assert not {nodes[name].op_type for name in chosen} & FLOAT_ONLY
    assert not {name for name in chosen for output in graph.output if output.name in nodes[name].output}


def test_weights_leave_a_bit_so_that_sums_of_two_products_fit(eighth):
    graph = onnx.load_from_string(eighth).graph
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.data_type == 3]
    assert max(np.abs(values.astype(int)).max() for values in weights if values.ndim > 1) == 64


def test_what_stays_in_float_runs_in_float(network, seen, squares):
    """ONNX Runtime quantises a float layer between two quantised ones by itself, with one scale for all channels."""
    import onnxruntime

    from dermtl.export.precision.quantise import quantise

    content, layers = network
    made = quantise(content, layers[::2], seen.ranges["minmax"], seen.means)
    batch = {"image": np.stack(squares[:3])}
    values = []
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        values.append(onnxruntime.InferenceSession(made, options).run(None, batch))
    for one, other in zip(*values, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_ranges_hold_what_was_seen(network, seen):
    whole = seen.ranges["minmax"]
    assert set(seen.ranges) == {"minmax", "percentile 99.999", "percentile 99.99", "entropy"}
    for ranges in seen.ranges.values():
        for name in ranges:
            low, high = ranges[name].range_value
            assert whole[name].range_value[0] <= low + 1e-3
            assert low <= high


def test_each_candidate_keeps_more_in_float(network, squares):
    from dermtl.export.precision.search import int8_candidates

    sizes, recipes = [], []
    for recipe, made in int8_candidates(network[0], squares[:4], squares[4:]):
        recipes.append(recipe)
        sizes.append(len(made))
        if len(sizes) == 3:
            break
    assert sizes == sorted(sizes)
    assert len(set(recipes)) == 3


def test_the_layers_that_cost_most_come_first(network, seen, squares):
    from dermtl.export.precision.activations import deviation, outputs_of
    from dermtl.export.precision.quantise import quantise
    from dermtl.export.precision.search import rank_layers

    content, layers = network
    chosen, exact = layers[:4], outputs_of(network[0], squares[:4])
    costs = []
    for layer in rank_layers(content, chosen, seen.ranges["minmax"], seen.means, squares[:4]):
        made = quantise(content, [layer], seen.ranges["minmax"], seen.means)
        costs.append(deviation(exact, outputs_of(made, squares[:4])))
    assert costs == sorted(costs, reverse=True)


def test_the_gate():
    from dermtl.export.precision.gate import MetricDrop, metric_drops

    assert MetricDrop("head accuracy", 0.900, 0.895, 0.005).ok
    assert not MetricDrop("head accuracy", 0.900, 0.894, 0.005).ok
    assert MetricDrop("head accuracy", 0.5, 0.9, 0.005).ok
    found = metric_drops(
        {"a": (0.9, 0.005), "b": (0.9, 0.005)}, {"a": (0.8, 0.005), "b": (0.9, 0.005), "new": (0, 0.1)}
    )
    assert [(drop.metric, drop.ok) for drop in found] == [("a", False), ("b", True)]


@pytest.mark.parametrize("after", [{}, {"d r2": (float("nan"), 0.005)}], ids=["missing", "not a number"])
def test_a_figure_that_is_lost_fails_the_gate(after):
    from dermtl.export.precision.gate import metric_drops

    (drop,) = metric_drops({"d r2": (-5.0, 0.005)}, after)
    assert not drop.ok


def test_an_answer_that_is_not_finite_is_infinitely_far():
    from dermtl.export.precision.activations import deviation

    exact = {"a": np.arange(4.0), "b": np.arange(4.0)}
    for value in (np.nan, np.inf, -np.inf):
        other = {"a": np.array([0, 1, value, 3.0]), "b": np.arange(4.0) + 1}
        assert deviation(exact, other) == np.inf
    assert deviation(exact, exact) == 0


@pytest.fixture
def judged(run_folder, exported, drawn, tmp_path, monkeypatch):
    """A run with records: the drawn set, half of it for training. It was exported already."""
    import dataclasses

    from dermtl.config.experiment import Data
    from dermtl.data.manifest.read import read_manifest
    from dermtl.export.precision import gate
    from dermtl.export.precision import search as precision
    from dermtl.runs.folder import load_run
    from dermtl.runtime.golden import golden_path

    records = read_manifest(Data(root=drawn))
    sides = ["train", "train", "val", "test"]
    records = [
        dataclasses.replace(record, split=sides[index % 4], group=str(index)) for index, record in enumerate(records)
    ]
    trained = load_run(run_folder)

    class Stub:
        plans, decisions = trained.plans, trained.decisions

    Stub.records = records
    monkeypatch.setattr(precision, "run_target", lambda run: Stub)

    def export_run(run, out):
        shutil.copy(golden_path(exported), golden_path(out))
        return Path(shutil.copy(exported, out))

    monkeypatch.setattr(precision, "export_run", export_run)
    return precision, gate, Stub


def fake_candidates(monkeypatch, precision, num=4):
    from dermtl.export.float16 import store_as_float16

    def candidates(content, seen, tried):
        yield from ((f"way {index}", store_as_float16(content)) for index in range(num))

    monkeypatch.setattr(precision, "int8_candidates", candidates)


def figures(value):
    """A figure of every head, one of which is this."""
    return {"diagnosis f1": (value, 0.005), "extent iou": (0.5, 0.005), "outline dice": (0.5, 0.005)}


def test_a_candidate_that_does_not_answer_in_finite_numbers_is_refused_and_the_next_is_tried(
    judged, run_folder, tmp_path, monkeypatch, caplog
):
    from dermtl.export.float16 import store_as_float16

    def candidates(content, seen, tried):
        model = onnx.load_from_string(content)
        weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        weight.raw_data = np.full(len(weight.raw_data) // 4, np.nan, np.float32).tobytes()
        yield "broken", model.SerializeToString()
        yield "whole", store_as_float16(content)

    precision, gate, _ = judged
    monkeypatch.setattr(precision, "int8_candidates", candidates)
    monkeypatch.setattr(gate, "speedup", lambda *arguments: 3.0)
    attempts = precision.export_precision(run_folder, tmp_path / "model.onnx", "int8")
    broken, whole = attempts
    assert (broken.recipe, broken.split, broken.passed) == ("broken", "train", False)
    assert broken.drops
    assert not any(drop.ok for drop in broken.drops)
    assert "not finite" in caplog.text
    assert whole.drops


def test_what_cannot_be_judged_on_the_validation_records_is_not_made(judged, run_folder, tmp_path, monkeypatch):
    from dermtl.errors import DataError

    precision, gate, _ = judged
    known = figures(0.9)
    del known["extent iou"]
    monkeypatch.setattr(gate, "measure", lambda *arguments: known)
    with pytest.raises(DataError, match=r"primary metric of extent cannot be estimated on the .* validation records"):
        precision.export_precision(run_folder, tmp_path / "model.onnx", "int8")
    assert list(tmp_path.glob("model*")) == []


def test_what_loses_too_much_is_refused_and_nothing_is_written(judged, run_folder, tmp_path, monkeypatch):
    precision, gate, _ = judged
    fake_candidates(monkeypatch, precision)
    # Before, on train and val; then way 0 fails on train, the others on val.
    scores = iter([0.9, 0.9, 0.8, *[0.9, 0.8] * 3])
    monkeypatch.setattr(gate, "speedup", lambda *arguments: 3.0)
    monkeypatch.setattr(gate, "measure", lambda *arguments: figures(next(scores)))
    attempts = precision.export_precision(run_folder, tmp_path / "model.onnx", "int8")
    assert [(attempt.recipe, attempt.split, attempt.passed) for attempt in attempts] == [
        ("way 0", "train", False),
        *((f"way {index}", "val", False) for index in (1, 2, 3)),
    ]
    assert list(tmp_path.glob("model*")) == []


def test_the_first_that_holds_is_written(judged, run_folder, tmp_path, monkeypatch):
    precision, gate, _ = judged
    fake_candidates(monkeypatch, precision)
    scores = iter([0.9, 0.9, 0.8, 0.9, 0.9])
    monkeypatch.setattr(gate, "speedup", lambda *arguments: 3.0)
    monkeypatch.setattr(gate, "measure", lambda *arguments: figures(next(scores)))
    attempts = precision.export_precision(run_folder, tmp_path / "model.onnx", "int8")
    assert [attempt.passed for attempt in attempts] == [False, True]
    assert dermtl.load(tmp_path / "model.onnx").bundle.provenance["precision"]["recipe"] == "way 1"


def test_what_is_slower_is_refused_at_once(judged, run_folder, tmp_path, monkeypatch):
    from dermtl.runtime.golden import golden_path, read_golden, replay

    precision, gate, _ = judged
    fake_candidates(monkeypatch, precision)
    monkeypatch.setattr(gate, "speedup", lambda *arguments: 1.1)
    assert len(precision.export_precision(run_folder, tmp_path / "model.onnx", "int8")) == 1
    assert list(tmp_path.glob("model*")) == []
    precision.export_precision(run_folder, tmp_path / "model.onnx", "auto")
    model = dermtl.load(tmp_path / "model.onnx")
    assert "precision" not in model.bundle.provenance
    assert all(difference.ok for difference in replay(model, read_golden(golden_path(tmp_path / "model.onnx"))))


def test_what_passes_is_written_with_its_figures_and_verifies(judged, run_folder, tmp_path, monkeypatch):
    from dermtl.export.precision.gate import measure
    from dermtl.imaging.decode import read_image
    from dermtl.runtime.golden import golden_path, read_golden, replay

    precision, gate, stub = judged
    seen = []
    for module in ("dermtl.runtime.predictor", "dermtl.evaluation.predict.predict"):
        monkeypatch.setattr(f"{module}.read_image", lambda source: seen.append(source) or read_image(source))
    # An untrained network decides near ties, where any rounding may tell.
    monkeypatch.setattr(gate, "measure", lambda *arguments: measure(*arguments) and figures(0.9))
    attempts = precision.export_precision(run_folder, tmp_path / "model.onnx", "fp16")
    assert {record.path for record in stub.records if record.split == "test"}.isdisjoint(seen)
    assert {record.path for record in stub.records if record.split == "val"} <= set(seen)
    model = dermtl.load(tmp_path / "model.onnx")
    noted = json.loads(json.dumps(model.bundle.provenance["precision"]))
    assert attempts[-1].passed
    assert noted["precision"] == "fp16"
    assert noted["drops"]
    found = replay(model, read_golden(golden_path(tmp_path / "model.onnx")))
    assert [difference for difference in found if not difference.ok] == []
