"""Where float layers meet quantised ones, so written that ONNX Runtime leaves the boundary where it is.

Its optimisers move it when they open a file, but only where a tensor has one scale. A scale for each channel, all of
them equal, is the same numbers and is left alone.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dermtl.arrays import Array


def hold_boundary(quantised: onnx.GraphProto, exact: onnx.GraphProto, means: Mapping[str, Array]) -> None:
    """Give some quantised tensors a scale for each channel, in place.

    A float layer between two quantised ones would be quantised after all, with one scale for all its weights: it gets
    an input of its own. A float MaxPool before a quantised layer would run on uint8, which takes fifty times as long.

    Args:
        quantised: Its nodes named as in ``exact``.
        exact: The float graph.
        means: Tensor of ``exact`` to its mean by channel.

    Source: ONNX Runtime 1.31, core/optimizer/qdq_transformer, weight_bias_quantization.cc and qdq_propagation.cc.
    """
    fixed = {tensor.name: tensor for tensor in quantised.initializer}
    makers = {name: node for node in quantised.node for name in node.output}
    first_inputs = {node.name: node.input[0] for node in exact.node if node.input}
    nodes: list[onnx.NodeProto] = []
    for node in quantised.node:
        above = makers.get(node.input[0]) if node.input else None
        if above is None:
            pass
        elif node.op_type in ("Conv", "Gemm") and above.op_type == "DequantizeLinear" and node.input[1] in fixed:
            name = f"{node.name}_input"
            same = _repeat(quantised, fixed, above, name, len(means[first_inputs[node.name]]))
            inputs = [above.input[0], *same]
            nodes.append(helper.make_node("DequantizeLinear", inputs, [name], f"{name}_DequantizeLinear", axis=1))
            node.input[0] = name
        elif node.op_type == "QuantizeLinear" and above.op_type == "MaxPool" and not _is_quantised(above, makers):
            same = _repeat(quantised, fixed, node, node.name, len(means[node.input[0]]))
            node.CopyFrom(helper.make_node("QuantizeLinear", [node.input[0], *same], node.output, node.name, axis=1))
        nodes.append(node)
    del quantised.node[:]
    quantised.node.extend(nodes)


def _repeat(
    graph: onnx.GraphProto, fixed: Mapping[str, onnx.TensorProto], node: onnx.NodeProto, name: str, channels: int
) -> list[str]:
    """Names of a node's scale and zero point, repeated for each channel."""
    names = []
    for old, part in zip(node.input[1:], ("scale", "zero_point"), strict=True):
        names.append(f"{name}_{part}s")
        values = np.repeat(numpy_helper.to_array(fixed[old]), channels)
        graph.initializer.append(numpy_helper.from_array(values, names[-1]))
    return names


def _is_quantised(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto]) -> bool:
    above = makers.get(node.input[0])
    return above is not None and above.op_type == "DequantizeLinear"
