"""A model in 8 bits: static, QDQ, activations uint8, weights int8 by channel, calibrated on pictures.

The letterbox before the network and the way back after it stay in float: rounding a coordinate to one of 256 values
would move every circle. Knows no records and judges nothing.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from dermtl.errors import ExportError
from dermtl.imaging.affine import Array
from dermtl.runtime.bundle import INPUT

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_BETWEEN = ("Add", "Relu", "Clip", "MaxPool", "GlobalAveragePool", "AveragePool")
METHODS = {"percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}


def quantise(content: bytes, squares: Sequence[Array], *, method: str = "percentile", spare: int = 0) -> bytes:
    """Quantise an exported model.

    Args:
        content: The float model, as exported.
        squares: Pictures to calibrate on, uint8 [S, S, 3].
        method: How the range of an activation is chosen: ``percentile`` (99.999%) or ``entropy``.
        spare: Layers with weights that stay in float, at either end of the network: its first convolutions see raw
            colours, its last give the answers.

    Raises:
        ExportError: ONNX Runtime cannot quantise it.
    """
    model = onnx.load_from_string(content)
    chosen = _inside(model.graph, spare)
    if not chosen:
        raise ExportError("no layer of this network can be quantised", hint="--precision fp32")
    options = {"CalibTensorRangeSymmetric": False, "ActivationSymmetric": False, "WeightSymmetric": True}
    quiet = logging.getLogger()
    level = quiet.level
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        quiet.setLevel(logging.ERROR)  # it logs at the root
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(content)
        try:
            quantize_static(
                str(source),
                str(target),
                _Pictures(squares),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                nodes_to_quantize=chosen,
                calibrate_method=METHODS[method],
                extra_options=options,
            )
            quantised = onnx.load(target)
        except Exception as error:
            raise ExportError(
                f"ONNX Runtime cannot quantise this network: {error}", hint="--precision fp32 always works"
            ) from error
        finally:
            quiet.setLevel(level)
    _tidy(model, quantised)
    data: bytes = quantised.SerializeToString()
    return data


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    """One picture a run."""

    def __init__(self, squares: Sequence[Array]) -> None:
        self._waiting: Iterator[Array] = iter(squares)

    def get_next(self) -> dict[str, Array] | None:
        """The next input, None after the last."""
        square = next(self._waiting, None)
        return None if square is None else {INPUT: np.ascontiguousarray(square[None])}


def _inside(graph: onnx.GraphProto, spare: int) -> list[str]:
    """Nodes of the network itself: those with weights, and what lies between two of them."""
    fixed = {tensor.name for tensor in graph.initializer}
    weighted = [node for node in graph.node if node.op_type in _WEIGHTED and any(name in fixed for name in node.input)]
    names = [node.name for node in weighted]
    weighted = weighted[spare : len(names) - spare] if spare else weighted
    after: set[str] = set()
    for node in graph.node:
        if node in weighted or any(name in after for name in node.input):
            after.update(node.output)
    before: set[str] = set()
    for node in reversed(graph.node):
        if node in weighted or any(name in before for name in node.output):
            before.update(node.input)
    between = [
        node
        for node in graph.node
        if node.op_type in _BETWEEN
        and all(name in after for name in node.input if name and name not in fixed)
        and any(name in before for name in node.output)
    ]
    return [node.name for node in (*weighted, *between)]


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
