"""Which nodes are quantised, on drawn graphs."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from dermtl.export.precision.layers import find_layers  # noqa: E402


def graph(nodes, outputs, **weights):
    """A graph of (operator, inputs, output, name)."""
    made = [onnx.helper.make_node(kind, inputs.split(), [output], output) for kind, inputs, output in nodes]
    info = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", *outputs)]
    tensors = [onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()]
    return onnx.helper.make_graph(made, "drawn", info[:1], info[1:], tensors)


def layers(*arguments, **weights):
    return [layer.nodes for layer in find_layers(graph(*arguments, **weights))]


def test_sums_of_a_transformer_stay_in_float():
    nodes = [
        ("MatMul", "x w", "a"),
        ("Add", "a b", "c"),
        ("Add", "c x", "d"),
        ("MatMul", "d w", "answer"),
    ]
    assert layers(nodes, ["answer"], w=(4, 4), b=(4,)) == [("a",)]


def test_a_residual_sum_belongs_to_its_latest_convolution():
    nodes = [
        ("Conv", "x w", "a"),
        ("Relu", "a", "b"),
        ("Conv", "b w", "c"),
        ("Add", "c b", "d"),
        ("Relu", "d", "e"),
        ("Conv", "e w", "answer"),
    ]
    assert layers(nodes, ["answer"], w=(4, 4, 1, 1)) == [("a", "b"), ("c", "d", "e")]


def test_neither_the_way_in_nor_the_way_back_nor_a_last_layer():
    nodes = [
        ("Add", "x b", "before"),
        ("Conv", "before w", "a"),
        ("Conv", "a w", "one"),
        ("Conv", "a w", "hidden"),
        ("Conv", "hidden w", "two"),
        ("Add", "two b", "after"),
        ("Add", "after one", "mixed"),
    ]
    assert layers(nodes, ["one", "mixed"], w=(4, 4, 1, 1), b=(1,)) == [("a",), ("hidden",)]


def test_products_of_two_activations_have_no_weights():
    nodes = [("Conv", "x w", "a"), ("MatMul", "a a", "b"), ("Conv", "b w", "answer")]
    assert layers(nodes, ["answer"], w=(4, 4, 1, 1)) == [("a",)]
