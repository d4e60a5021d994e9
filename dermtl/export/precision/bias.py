"""Rounded weights shift what a layer gives on average: its bias takes that back."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from dermtl.arrays import Array


def correct_biases(quantised: onnx.GraphProto, exact: onnx.GraphProto, means: Mapping[str, Array]) -> None:
    """Take the mean shift out of the biases of a quantised graph, in place.

    A layer's weights W became W + E: on inputs x it gives E x more, on average E times the mean of x. Depthwise layers,
    with nine weights a channel, shift the most.

    Args:
        quantised: With weights and biases behind DequantizeLinear, its nodes named as in ``exact``.
        exact: The float graph.
        means: Tensor of ``exact`` to its mean by channel.

    Source: Nagel, van Baalen, Blankevoort and Welling, "Data-Free Quantization Through Weight Equalization and Bias
    Correction", ICCV 2019, section 4.2, with means that were measured.
    """
    makers = {name: node for node in quantised.node for name in node.output if node.op_type == "DequantizeLinear"}
    tensors = {tensor.name: tensor for tensor in quantised.initializer}
    floats = {tensor.name: tensor for tensor in exact.initializer}
    originals = {node.name: node for node in exact.node}
    for node in quantised.node:
        made = [makers.get(name) for name in node.input[1:3]]
        if node.op_type not in ("Conv", "Gemm") or len(made) < 2 or None in made:
            continue
        (weight, weight_scale), (bias, bias_scale) = (
            [numpy_helper.to_array(tensors[name]) for name in dequantise.input[:2]] for dequantise in made if dequantise
        )
        original = originals[node.name]
        wanted = numpy_helper.to_array(floats[original.input[1]]).astype(np.float64)
        turned = node.op_type == "Gemm" and not _attribute(node, "transB", 0)
        axis = 1 if turned else 0
        scales = weight_scale.reshape([-1 if place == axis else 1 for place in range(weight.ndim)])
        error = weight * scales - wanted
        error = error.T if turned else error.reshape(*error.shape[:2], -1).sum(axis=2)
        mean = means[original.input[0]].reshape(_attribute(node, "group", 1), -1)
        shift = (error * np.repeat(mean, len(error) // len(mean), axis=0)).sum(axis=1)
        name = made[1].input[0] if made[1] else ""
        tensors[name].CopyFrom(numpy_helper.from_array((bias - np.rint(shift / bias_scale)).astype(bias.dtype), name))


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((entry.i for entry in node.attribute if entry.name == name), default)
