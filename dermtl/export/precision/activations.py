"""Activations and outputs of a network on pictures: ranges, means, and the deviation of a quantised file's outputs.

A wide range rounds coarsely, a narrow one clips. Which costs more differs between networks, so ranges are given by
several methods, and the caller measures.
"""

import contextlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import HistogramCollector, TensorsData

from dermtl.arrays import Array
from dermtl.export.precision.layers import Layer
from dermtl.files.prefetch import batched
from dermtl.runtime.bundle import INPUT
from dermtl.runtime.predictor import BATCH_SIZE

_PERCENTILES = (99.999, 99.99)
_BINS = 2048
_ENTROPY_BINS = 128  # ONNX Runtime's own number; its search takes minutes with more


@dataclass(frozen=True)
class ActivationStats:
    """Statistics of the activations of some layers.

    Attributes:
        ranges: Method to the range of each tensor, in the form that ONNX Runtime's quantiser takes.
        means: Tensor to its mean by channel: the second axis of [N, C, H, W], the last axis of any other shape.
    """

    ranges: Mapping[str, TensorsData]
    means: Mapping[str, Array]


def collect(content: bytes, layers: Sequence[Layer], squares: Sequence[Array]) -> ActivationStats:
    """Run a model on pictures and collect statistics of its activations.

    Args:
        content: The float model.
        layers: Layers whose tensors are collected.
        squares: Pictures, uint8 [S, S, 3].
    """
    fine = HistogramCollector("percentile", False, _BINS, _BINS, _PERCENTILES[0], "same")
    coarse = HistogramCollector("entropy", False, _ENTROPY_BINS, _ENTROPY_BINS, 0.0, "same")
    means: dict[str, Array] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for values in _run(_with_outputs(content, layers), squares, batch_size=1):
            fine.collect(values)
            coarse.collect(values)
            for name, value in values.items():
                axes = (0, 2, 3) if value.ndim == 4 else tuple(range(value.ndim - 1))
                means[name] = means.get(name, np.float64(0)) + value.mean(axis=axes, dtype=np.float64) / len(squares)
        limits = {name: (histogram[2], histogram[3]) for name, histogram in fine.histogram_dict.items()}
        ranges = {"minmax": TensorsData(CalibrationMethod.MinMax, limits)}
        for percentile in _PERCENTILES:
            fine.percentile = percentile
            clipped = TensorsData(CalibrationMethod.Percentile, fine.compute_collection_result())
            ranges[f"percentile {percentile:g}"] = clipped
        symmetric = coarse.compute_collection_result()  # symmetric about zero, even if nothing is negative
        entropy = {
            name: (max(low, limits[name][0]), min(high, limits[name][1])) for name, (low, high, *_) in symmetric.items()
        }
        ranges["entropy"] = TensorsData(CalibrationMethod.MinMax, entropy)
    return ActivationStats(ranges, means)


def outputs_of(content: bytes, squares: Sequence[Array]) -> dict[str, Array]:
    """The outputs of a model file for all pictures: output name to values, [N, ...].

    Args:
        content: The model.
        squares: Pictures, uint8 [S, S, 3].
    """
    parts = list(_run(content, squares))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def deviation(exact: Mapping[str, Array], other: Mapping[str, Array]) -> float:
    """Mean deviation from exact outputs, as a share of how much those vary between pictures; the worst output counts.

    0 is equal, 1 is no better than the same output for every picture, infinity is an output that is not finite.
    """
    shares = []
    for name, values in exact.items():
        variation = float(np.abs(values - values.mean(axis=0)).mean())
        share = float(np.abs(other[name] - values).mean()) / max(variation, 1e-9)
        shares.append(share if math.isfinite(share) else math.inf)
    return max(shares)


def _run(content: bytes, squares: Sequence[Array], *, batch_size: int = BATCH_SIZE) -> Iterator[Mapping[str, Array]]:
    """Output name to values, [N, ...], of one batch after the other, on one thread."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for batch in batched(squares, batch_size):
        yield dict(zip(names, session.run(names, {INPUT: np.stack(batch)}), strict=True))


def _with_outputs(content: bytes, layers: Sequence[Layer]) -> bytes:
    """The model with the tensors of the layers as its only outputs."""
    model = onnx.load_from_string(content)
    names = dict.fromkeys(name for layer in layers for name in layer.tensors)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    data: bytes = model.SerializeToString()
    return data
