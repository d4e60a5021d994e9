"""A model in 8 bits, made in ever gentler ways: all layers first, then with those in float that cost the most.

The way of choosing ranges, and the order in which layers go back to float, are measured on pictures: how far the
answers move from the exact model's. Knows no records and judges nothing.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

import onnx
from onnxruntime.quantization.calibrate import TensorsData

from dermtl.arrays import Array
from dermtl.errors import ExportError
from dermtl.export.precision.activations import look
from dermtl.export.precision.deviation import answers, deviation
from dermtl.export.precision.layers import Layer, find_layers
from dermtl.export.precision.quantise import quantise
from dermtl.statistics.spread import spread

_log = logging.getLogger(__name__)
_NUM_RANKED = 16


def rungs(content: bytes, seen: Sequence[Array], tried: Sequence[Array]) -> Iterator[tuple[str, bytes]]:
    """How each was made, and the model; each keeps about half as many layers again in float as the one before.

    Args:
        content: The float model.
        seen: Pictures for the ranges, uint8 [S, S, 3].
        tried: Other pictures, to measure deviations on.

    Raises:
        ExportError: There is no layer to quantise, or ONNX Runtime cannot.
    """
    layers = find_layers(onnx.load_from_string(content).graph)
    layers = layers[1:] or layers  # the first sees raw colours, and is no faster in 8 bits
    if not layers:
        raise ExportError("no layer of this network can be quantised", hint="--precision fp32")
    exact = answers(content, tried)
    found = look(content, layers, seen)
    costs = {
        how: deviation(exact, answers(quantise(content, layers, ranges, found.means), tried))
        for how, ranges in found.ranges.items()
    }
    _log.info("answers move by %s with all layers in 8 bits", {how: round(cost, 3) for how, cost in costs.items()})
    best = min(costs, key=costs.__getitem__)
    ranges, means = found.ranges[best], found.means
    yield f"{best}, {len(layers)} layers", quantise(content, layers, ranges, means)
    ranked = rank(content, layers, ranges, means, spread(tried, _NUM_RANKED))
    kept = 1
    while kept < len(layers):
        spared = set(ranked[:kept])
        chosen = [layer for layer in layers if layer not in spared]
        yield f"{best}, {len(chosen)} of {len(layers)} layers", quantise(content, chosen, ranges, means)
        kept += max(1, kept // 2)


def rank(
    content: bytes, layers: Sequence[Layer], ranges: TensorsData, means: Mapping[str, Array], squares: Sequence[Array]
) -> list[Layer]:
    """The layers, those first that move the answers most when they alone are quantised."""
    exact = answers(content, squares)
    costs = {layer: deviation(exact, answers(quantise(content, [layer], ranges, means), squares)) for layer in layers}
    return sorted(layers, key=costs.__getitem__, reverse=True)
