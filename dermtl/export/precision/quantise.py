"""Layers of a model in 8 bits: QDQ, activations uint8, weights int8 by channel. Knows no records and judges nothing."""

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence

import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from dermtl.arrays import Array
from dermtl.errors import ExportError
from dermtl.export.precision.bias import correct_biases
from dermtl.export.precision.boundary import hold_boundary
from dermtl.export.precision.layers import OPERATORS, Layer

_OPTIONS = {
    "ActivationSymmetric": False,
    "WeightSymmetric": True,
    "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],  # what follows them is in float
}


def quantise(content: bytes, layers: Sequence[Layer], ranges: TensorsData, means: Mapping[str, Array]) -> bytes:
    """Quantise some layers of an exported model.

    Weights take 7 of the 8 bits: where a processor has no VNNI, ONNX Runtime adds pairs of products in 16 bits, and
    those of larger weights are cut off. The file would answer otherwise there than where it was judged.

    Args:
        content: The float model, as exported.
        layers: Which.
        ranges: Of their tensors.
        means: Of their tensors, by channel.

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
    hold_boundary(quantised.graph, exact, means)
    _tidy(model, quantised)
    data: bytes = quantised.SerializeToString()
    return data


def _tidy(model: onnx.ModelProto, quantised: onnx.ModelProto) -> None:
    """What the quantiser adds around the graph: imports of domains that nothing uses, names of itself."""
    quantised.producer_name, quantised.producer_version = model.producer_name, model.producer_version
    quantised.graph.name, quantised.doc_string = model.graph.name, ""
    del quantised.opset_import[:]
    quantised.opset_import.extend(model.opset_import)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(model.metadata_props)
    del quantised.graph.value_info[:]
    for node in quantised.graph.node:
        node.doc_string = ""
