"""Layers of a model in 8 bits: QDQ, activations uint8, weights int8 by channel. Knows no records and judges nothing.

Two corrections follow the quantiser of ONNX Runtime: biases absorb the mean shift of rounded weights, and layers that
stay in float are written so that its optimisers leave them in float.
"""

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from dermtl.arrays import Array
from dermtl.errors import ExportError
from dermtl.export.precision.layers import OPERATORS, Layer

_OPTIONS = {
    "ActivationSymmetric": False,
    "WeightSymmetric": True,
    "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],  # what follows them is in float
}


def quantise(content: bytes, layers: Sequence[Layer], ranges: TensorsData, means: Mapping[str, Array]) -> bytes:
    """Quantise some layers of an exported model.

    Weights take 7 of the 8 bits: on a processor without VNNI, ONNX Runtime adds pairs of products in 16 bits, which
    overflow for larger weights, and the file would give other outputs there than on the machine that tested it.

    Args:
        content: The float model, as exported.
        layers: The layers to quantise.
        ranges: Ranges of the tensors of these layers.
        means: Means of the tensors of these layers, by channel.

    Raises:
        ExportError: ONNX Runtime cannot quantise it.

    Source: ONNX Runtime's documentation, "Quantize ONNX models", on reduce_range.
    """
    model = onnx.load_from_string(content)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it logs there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantiser = QDQQuantizer(
                onnx.shape_inference.infer_shapes(model),
                per_channel=True,
                reduce_range=True,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=copy.deepcopy(ranges),  # it narrows them in place
                nodes_to_quantize=[name for layer in layers for name in layer.nodes],
                nodes_to_exclude=[],
                op_types_to_quantize=list(OPERATORS),
                extra_options=_OPTIONS,
            )
            quantised = quantiser.quantize_model()
            quantiser.model.topological_sort()
    except Exception as error:
        raise ExportError(
            f"ONNX Runtime cannot quantise this network: {error}", hint="--precision fp32 always works"
        ) from error
    finally:
        root.setLevel(level)
    exact = onnx.load_from_string(content).graph
    correct_biases(quantised.graph, exact, means)
    keep_floats(quantised.graph, exact, means)
    _tidy(model, quantised)
    data: bytes = quantised.SerializeToString()
    return data


def _tidy(model: onnx.ModelProto, quantised: onnx.ModelProto) -> None:
    """Remove what the quantiser adds around the graph: imports of unused domains, its name, documentation."""
    quantised.producer_name, quantised.producer_version = model.producer_name, model.producer_version
    quantised.graph.name, quantised.doc_string = model.graph.name, ""
    del quantised.opset_import[:]
    quantised.opset_import.extend(model.opset_import)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(model.metadata_props)
    del quantised.graph.value_info[:]
    for node in quantised.graph.node:
        node.doc_string = ""


def correct_biases(quantised: onnx.GraphProto, exact: onnx.GraphProto, means: Mapping[str, Array]) -> None:
    """Subtract from biases, in place, the mean shift that rounded weights cause.

    Rounding turns the weights W of a layer into W + E, which shifts its output for an input x by E x, on average by E
    times the mean of x. Depthwise layers, with nine weights a channel, shift the most.

    Args:
        quantised: Graph with weights and biases behind DequantizeLinear, its nodes named as in ``exact``.
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


def keep_floats(quantised: onnx.GraphProto, exact: onnx.GraphProto, means: Mapping[str, Array]) -> None:
    """Keep the float layers of a quantised graph in float when ONNX Runtime opens it, in place.

    Its optimisers move the boundary between float and 8 bits, but only for tensors with one scale. So the tensors at
    the boundary get one scale for each channel, all equal, which leaves the numbers as they are. Otherwise a float
    layer between two quantised ones would be quantised with one scale for all its weights, and a float MaxPool before
    a quantised layer would run on uint8, fifty times as slow.

    Args:
        quantised: Graph with its nodes named as in ``exact``.
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
    """Add the scale and zero point of a node, repeated for each channel; returns their names."""
    names = []
    for old, part in zip(node.input[1:], ("scale", "zero_point"), strict=True):
        names.append(f"{name}_{part}s")
        values = np.repeat(numpy_helper.to_array(fixed[old]), channels)
        graph.initializer.append(numpy_helper.from_array(values, names[-1]))
    return names


def _is_quantised(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto]) -> bool:
    above = makers.get(node.input[0])
    return above is not None and above.op_type == "DequantizeLinear"


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((entry.i for entry in node.attribute if entry.name == name), default)
