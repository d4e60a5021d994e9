"""The correction of biases, on networks of NumPy's random weights: the same on every machine, whatever its threads."""

import numpy as np
import pytest

from dermtl.export.precision.activations import outputs_of
from dermtl.export.precision.layers import Layer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime.quantization")

SIDE, NUM = 16, 10
LAYERS = [Layer(("deep", "relu"), ("x", "a", "r")), Layer(("wide",), ("r", "y"))]


def network(rng):
    """A depthwise convolution, a ReLU and a pointwise convolution."""
    from onnx import TensorProto, helper, numpy_helper

    shapes = {"w1": (3, 1, 3, 3), "b1": (3,), "w2": (16, 3, 1, 1), "b2": (16,)}
    tensors = [numpy_helper.from_array(rng.normal(size=shape).astype("f4"), name) for name, shape in shapes.items()]
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "scale"], ["g"], "mul"),
        helper.make_node("Transpose", ["g"], ["x"], "turn", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], "deep", group=3, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "w2", "b2"], ["y"], "wide"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 16, SIDE, SIDE])],
        [*tensors, numpy_helper.from_array(np.array([1 / 255], "f4"), "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def test_biases_take_back_the_mean_shift():
    """Nagel et al. 2019: the mean of every channel comes back; over ten networks most of the shift is gone."""
    from dermtl.export.precision.activations import collect
    from dermtl.export.precision.quantise import quantise

    shifts = []
    for seed in range(NUM):
        rng = np.random.default_rng(seed)
        content = network(rng)
        squares = list(rng.integers(100, 256, (12, SIDE, SIDE, 3)).astype(np.uint8))
        seen = collect(content, LAYERS, squares)
        still = {name: np.zeros_like(mean) for name, mean in seen.means.items()}  # no mean, no correction
        exact, corrected, plain = (
            outputs_of(made, squares)["y"].mean(axis=(0, 2, 3))
            for made in (content, *(quantise(content, LAYERS, seen.ranges["minmax"], m) for m in (seen.means, still)))
        )
        shifts.append((np.abs(corrected - exact).mean(), np.abs(plain - exact).mean()))
    with_means, without = np.sum(shifts, axis=0)
    assert with_means < 0.4 * without
