"""What the activations of a network were on pictures: their ranges, chosen in several ways, and their means.

A wide range rounds coarsely, a narrow one cuts: which of the two costs more differs between networks, so each way of
choosing is given, and the caller measures.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import HistogramCollector, TensorsData

from dermtl.arrays import Array
from dermtl.export.precision.deviation import run_squares
from dermtl.export.precision.layers import Layer

_PERCENTILES = (99.999, 99.99)
_BINS = 2048
_ENTROPY_BINS = 128  # ONNX Runtime's own number; its search takes minutes with more


@dataclass(frozen=True)
class Seen:
    """Activations.

    Attributes:
        ranges: Way of choosing to the range of each tensor, as ONNX Runtime's quantiser takes them.
        means: Tensor to its mean by channel: the second axis of [N, C, H, W], the last of any other.
    """

    ranges: Mapping[str, TensorsData]
    means: Mapping[str, Array]


def look(content: bytes, layers: Sequence[Layer], squares: Sequence[Array]) -> Seen:
    """Run a model on pictures.

    Args:
        content: The float model.
        layers: Whose tensors are looked at.
        squares: uint8 [S, S, 3].
    """
    fine = HistogramCollector("percentile", False, _BINS, _BINS, _PERCENTILES[0], "same")
    coarse = HistogramCollector("entropy", False, _ENTROPY_BINS, _ENTROPY_BINS, 0.0, "same")
    means: dict[str, Array] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for values in run_squares(_opened(content, layers), squares, batch_size=1):
            fine.collect(values)
            coarse.collect(values)
            for name, value in values.items():
                axes = (0, 2, 3) if value.ndim == 4 else tuple(range(value.ndim - 1))
                means[name] = means.get(name, np.float64(0)) + value.mean(axis=axes, dtype=np.float64) / len(squares)
        ends = {name: (found[2], found[3]) for name, found in fine.histogram_dict.items()}
        ranges = {"minmax": TensorsData(CalibrationMethod.MinMax, ends)}
        for percentile in _PERCENTILES:
            fine.percentile = percentile
            cut = TensorsData(CalibrationMethod.Percentile, fine.compute_collection_result())
            ranges[f"percentile {percentile:g}"] = cut
        even = coarse.compute_collection_result()  # as far below zero as above, even where nothing is negative
        held = {name: (max(found[0], ends[name][0]), min(found[1], ends[name][1])) for name, found in even.items()}
        ranges["entropy"] = TensorsData(CalibrationMethod.MinMax, held)
    return Seen(ranges, means)


def _opened(content: bytes, layers: Sequence[Layer]) -> bytes:
    """The model with the layers' tensors for outputs, and no others."""
    model = onnx.load_from_string(content)
    names = dict.fromkeys(name for layer in layers for name in layer.tensors)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    data: bytes = model.SerializeToString()
    return data
