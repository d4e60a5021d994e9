"""What ONNX Runtime makes of a partly quantised file when it opens it: float stays float, where it was."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from dermtl.export.precision.activations import (  # noqa: E402
    collect,
    deviation,
    outputs_of,
)
from dermtl.export.precision.layers import find_layers  # noqa: E402
from dermtl.export.precision.quantise import quantise  # noqa: E402

SIZE = 16


@pytest.fixture(scope="module")
def content():
    """Five convolutions, a pool after the first; channels of the third differ tenfold, and the fourth undoes it."""
    rng = np.random.default_rng(0)
    node, numpy_helper = onnx.helper.make_node, onnx.numpy_helper
    uneven = np.float32(10) ** np.linspace(-0.5, 0.5, 8, dtype=np.float32)
    weights = {
        "first.w": rng.normal(size=(8, 3, 3, 3)) / 500,
        "second.w": rng.normal(size=(8, 8, 3, 3)) / 8,
        "third.w": rng.normal(size=(8, 1, 3, 3)) * uneven[:, None, None, None],
        "fourth.w": rng.normal(size=(8, 8, 1, 1)) / uneven[None, :, None, None],
        "last.w": rng.normal(size=(2, 8, 1, 1)),
    }
    biases = {name.replace(".w", ".b"): rng.normal(size=len(values)) / 10 for name, values in weights.items()}
    nodes = [
        node("Cast", ["image"], ["levels"], to=onnx.TensorProto.FLOAT),
        node("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "first.w", "first.b"], ["a"], "first", pads=[1] * 4, kernel_shape=[3, 3]),
        node("Relu", ["a"], ["b"], "first_relu"),
        node("MaxPool", ["b"], ["c"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["c", "second.w", "second.b"], ["d"], "second", pads=[1] * 4, kernel_shape=[3, 3]),
        node("Relu", ["d"], ["e"], "second_relu"),
        node("Conv", ["e", "third.w", "third.b"], ["f"], "third", pads=[1] * 4, kernel_shape=[3, 3], group=8),
        node("Relu", ["f"], ["g"], "third_relu"),
        node("Conv", ["g", "fourth.w", "fourth.b"], ["h"], "fourth", kernel_shape=[1, 1]),
        node("Conv", ["h", "last.w", "last.b"], ["answer"], "last", kernel_shape=[1, 1]),
    ]
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "small",
        [info("image", onnx.TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [info("answer", onnx.TensorProto.FLOAT, ["N", 2, SIZE // 2, SIZE // 2])],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in (weights | biases).items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def squares():
    return list(np.random.default_rng(1).integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def found(content, squares):
    layers = find_layers(onnx.load_from_string(content).graph)
    return layers, collect(content, layers, squares)


def quantised(content, found, names):
    layers, seen = found
    chosen = [layer for layer in layers if layer.nodes[0] in names]
    return quantise(content, chosen, seen.ranges["minmax"], seen.means)


def optimised(content, folder):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx").graph


def test_layers_are_a_convolution_and_what_follows(found):
    assert [layer.nodes for layer in found[0]] == [
        ("first", "first_relu", "pool"),
        ("second", "second_relu"),
        ("third", "third_relu"),
        ("fourth",),
    ]


def test_a_float_layer_between_quantised_ones_stays_float(content, found, squares, tmp_path):
    made = quantised(content, found, {"second", "fourth"})
    graph = optimised(made, tmp_path)
    assert sum(node.op_type == "QLinearConv" for node in graph.node) == 2
    assert "third.w" in {name for node in graph.node for name in node.input}
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (as_written,) = onnxruntime.InferenceSession(made, options).run(None, {"image": np.stack(squares)})
    assert deviation({"answer": as_written}, outputs_of(made, squares)) < 0.005


def test_a_float_pool_stays_float(content, found, tmp_path):
    graph = optimised(quantised(content, found, {"second", "third", "fourth"}), tmp_path)
    makers = {name: node.op_type for node in graph.node for name in node.output}
    (pool,) = (node for node in graph.node if "MaxPool" in node.op_type)
    assert makers[pool.input[0]] != "QuantizeLinear"


def test_with_all_layers_quantised_the_answers_stay_near(content, found, squares):
    made = quantised(content, found, {"first", "second", "third", "fourth"})
    assert deviation(outputs_of(content, squares), outputs_of(made, squares)) < 0.2
    onnx.checker.check_model(onnx.load_from_string(made))
