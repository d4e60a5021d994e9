"""Lower precision: what is written answers alike, and what would lose too much is not written."""

import json

import numpy as np
import pytest

import dermtl
from dermtl.runtime.agreement import answer

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.slow
FLOAT_ONLY = {"Resize", "Floor", "Softmax", "Sigmoid", "Pad"}


@pytest.fixture(scope="module")
def squares(draw_blocks):
    return list(draw_blocks(48, 48, num=12))


@pytest.fixture(scope="module")
def eighth(exported, squares):
    from dermtl.export.quantise import quantise

    return quantise(exported.read_bytes(), squares)


def test_half_precision_is_half_the_file_and_answers_alike(exported, squares, tmp_path):
    from dermtl.export.half import halve

    content = halve(exported.read_bytes())
    weights = sum(len(tensor.raw_data) for tensor in onnx.load(exported).graph.initializer)
    assert len(content) < exported.stat().st_size - 0.45 * weights
    (tmp_path / "half.onnx").write_bytes(content)
    half, whole = dermtl.load(tmp_path / "half.onnx"), dermtl.load(exported)
    for square in squares[:3]:
        one, other = answer(half, square), answer(whole, square)
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
        one, other = answer(model, square), answer(whole, square)
        assert np.abs(one["diagnosis.probability"] - other["diagnosis.probability"]).max() < 0.25
        assert one["outline.mask"].shape == other["outline.mask"].shape


def test_the_gate():
    from dermtl.export.gate import Loss, losses

    assert Loss("head accuracy", 0.900, 0.895, 0.005).ok
    assert not Loss("head accuracy", 0.900, 0.894, 0.005).ok
    assert Loss("head accuracy", 0.5, 0.9, 0.005).ok
    found = losses({"a": (0.9, 0.005), "gone": (0.1, 0.01)}, {"a": (0.8, 0.005)})
    assert [(loss.what, loss.ok) for loss in found] == [("a", False)]


@pytest.fixture
def judged(run_folder, drawn, tmp_path, monkeypatch):
    """A run with records: the drawn set, half of it for training."""
    import dataclasses

    from dermtl.config.experiment import Data
    from dermtl.data.manifest import read_manifest
    from dermtl.export import precision
    from dermtl.model.run import load_run

    records = read_manifest(Data(root=drawn))
    sides = ["train", "train", "val", "test"]
    records = [
        dataclasses.replace(record, split=sides[index % 4], group=str(index)) for index, record in enumerate(records)
    ]
    trained = load_run(run_folder)

    class Stub:
        plans, decisions = trained.plans, trained.decisions

    Stub.records = records
    monkeypatch.setattr(precision, "run_subject", lambda run: Stub)
    return precision, Stub


def test_what_loses_too_much_is_refused_and_nothing_is_written(judged, run_folder, tmp_path, monkeypatch):
    from dermtl.export.half import halve

    precision, _ = judged
    scores = iter([0.9, 0.8, 0.8, 0.8, 0.8])
    monkeypatch.setattr(precision, "quantise", lambda content, squares, **how: halve(content))
    monkeypatch.setattr(precision, "speedup", lambda *arguments: 3.0)
    monkeypatch.setattr(precision, "score", lambda *arguments: {"diagnosis f1": (next(scores), 0.005)})
    attempts = precision.export_precision(run_folder, tmp_path / "model.onnx", "int8")
    assert [attempt.passed for attempt in attempts] == [False] * 4
    assert len({attempt.how for attempt in attempts}) == 4
    assert list(tmp_path.glob("model*")) == []


def test_what_is_slower_is_refused_at_once(judged, run_folder, tmp_path, monkeypatch):
    from dermtl.export.half import halve

    precision, _ = judged
    monkeypatch.setattr(precision, "quantise", lambda content, squares, **how: halve(content))
    monkeypatch.setattr(precision, "speedup", lambda *arguments: 1.1)
    assert len(precision.export_precision(run_folder, tmp_path / "model.onnx", "int8")) == 1
    assert list(tmp_path.glob("model*")) == []
    precision.export_precision(run_folder, tmp_path / "model.onnx", "auto")
    assert "precision" not in dermtl.load(tmp_path / "model.onnx").bundle.provenance


def test_what_passes_is_written_with_its_figures_and_verifies(judged, run_folder, tmp_path, monkeypatch):
    from dermtl.export.gate import score
    from dermtl.runtime.golden import golden_path, read_golden, replay

    precision, stub = judged
    seen = []
    prepare = dermtl.Model.prepare
    monkeypatch.setattr(dermtl.Model, "prepare", lambda self, source: seen.append(source) or prepare(self, source))
    # An untrained network decides near ties, where any rounding may tell.
    monkeypatch.setattr(precision, "score", lambda *arguments: score(*arguments) and {"diagnosis f1": (0.9, 0.005)})
    attempts = precision.export_precision(run_folder, tmp_path / "model.onnx", "fp16")
    assert {record.path for record in stub.records if record.split == "test"}.isdisjoint(seen)
    model = dermtl.load(tmp_path / "model.onnx")
    noted = json.loads(json.dumps(model.bundle.provenance["precision"]))
    assert attempts[-1].passed
    assert noted["precision"] == "fp16"
    assert noted["losses"]
    found = replay(model, read_golden(golden_path(tmp_path / "model.onnx")))
    assert [difference for difference in found if not difference.ok] == []
