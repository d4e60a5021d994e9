"""The search for a file of lower precision that passes the gate.

Int8 candidates become ever gentler: all layers in 8 bits first, then with those in float that cost the most. The method
of choosing ranges, and the order in which layers go back to float, follow from the deviation of outputs on pictures.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnxruntime.quantization.calibrate import TensorsData

from dermtl.arrays import Array
from dermtl.errors import DataError, ExportError, InputError
from dermtl.export.export import export_run
from dermtl.export.float16 import store_as_float16
from dermtl.export.precision.activations import collect, deviation, outputs_of
from dermtl.export.precision.gate import Attempt, Gate
from dermtl.export.precision.layers import Layer, find_layers
from dermtl.export.precision.quantise import quantise
from dermtl.files.atomic import write_atomic
from dermtl.kinds import Record
from dermtl.runs.evaluation_target import run_target
from dermtl.runs.folder import RunFolder
from dermtl.runtime.bundle import KEY
from dermtl.runtime.bundle.model_file import write_model
from dermtl.runtime.golden import golden_path, make_samples, write_golden
from dermtl.runtime.parity import graph_outputs
from dermtl.runtime.predictor import Model, load
from dermtl.statistics.spread import spread

_log = logging.getLogger(__name__)
_NUM_RANGES = 64  # pictures that the ranges are taken from
_NUM_DEVIATION = 64  # other pictures, that deviations are measured on
_NUM_RANKING = 16


def export_precision(run: Path, out: Path, precision: str) -> list[Attempt]:
    """Export a run at a lower precision, if a file of it passes the :mod:`~dermtl.export.precision.gate`.

    Int8 is calibrated on training records. Layers go back to float until the gate passes on training records, and from
    there on until it passes on the validation records; the test records are never looked at. ``auto`` writes int8 if it
    passes, and otherwise float32: float16 is smaller, never faster.

    Args:
        run: The run's folder.
        out: The ``model.onnx`` to write, with golden samples and digest beside it. If no ``fp16`` or ``int8`` file
            passes, nothing is written.
        precision: ``fp16``, ``int8`` or ``auto``.

    Returns:
        The candidates that were tried; if the last one passed, it was written.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        InputError: These are the folds of a cross-validation.
        DataError: There are no records to calibrate on, or none that a head can be measured on.
        ExportError: The network cannot be exported or quantised.
    """
    if RunFolder(run).folds.is_file():
        raise InputError(
            f"the ensemble of a cross-validation has no {precision} file: each record was learned from by one of its "
            "members, so nothing would tell what lower precision costs",
            where=str(run),
            hint="--precision fp32 writes the ensemble; or export one fold, such as fold-0",
        )
    target = run_target(run)
    splits = {split: [record for record in target.records if record.split == split] for split in ("train", "val")}
    if not all(splits.values()):
        raise DataError("has no training or no validation records", where=str(run), hint="--precision fp32 needs none")
    name = "fp16" if precision == "fp16" else "int8"
    attempts: list[Attempt] = []
    with TemporaryDirectory() as folder:
        exact_path = export_run(run, Path(folder) / "exact.onnx")
        exact, content = load(exact_path, threads=1), exact_path.read_bytes()
        gate = Gate(exact, name, target, splits)
        for recipe, candidate in _candidates(content, name, exact, splits["train"]):
            path = Path(folder) / "candidate.onnx"
            path.write_bytes(candidate)
            model = load(path, threads=1)
            attempts.append(gate.attempt(model, recipe, len(candidate) / len(content)))
            if attempts[-1].passed:
                _write(out, _with_provenance(candidate, attempts[-1]), model)
                return attempts
            if not attempts[-1].split:
                break  # candidates with more layers in float are slower still
        if precision == "auto":
            write_model(out, content)
            write_atomic(golden_path(out), golden_path(exact_path).read_bytes())
    return attempts


def _candidates(
    content: bytes, precision: str, exact: Model, training: Sequence[Record]
) -> Iterator[tuple[str, bytes]]:
    """Recipe and model of every candidate, the fastest first."""
    if precision == "fp16":
        yield "weights", store_as_float16(content)
        return
    records = spread(training, _NUM_RANGES + _NUM_DEVIATION)
    squares = [exact.prepare(record.path).pixels for record in records]
    yield from int8_candidates(content, squares[::2], squares[1::2] or squares)


def int8_candidates(
    content: bytes, range_squares: Sequence[Array], deviation_squares: Sequence[Array]
) -> Iterator[tuple[str, bytes]]:
    """Recipe and model; each keeps about half as many layers again in float as the one before.

    Args:
        content: The float model.
        range_squares: Pictures for the ranges, uint8 [S, S, 3].
        deviation_squares: Other pictures, to measure deviations on.

    Raises:
        ExportError: There is no layer to quantise, or ONNX Runtime cannot quantise.
    """
    layers = find_layers(onnx.load_from_string(content).graph)
    layers = layers[1:] or layers  # the first sees raw colours, and is no faster in 8 bits
    if not layers:
        raise ExportError("no layer of this network can be quantised", hint="--precision fp32")
    exact = outputs_of(content, deviation_squares)
    stats = collect(content, layers, range_squares)
    costs = {
        method: deviation(exact, outputs_of(quantise(content, layers, ranges, stats.means), deviation_squares))
        for method, ranges in stats.ranges.items()
    }
    _log.info("outputs deviate by %s with all layers in 8 bits", {name: round(cost, 3) for name, cost in costs.items()})
    best = min(costs, key=costs.__getitem__)
    ranges, means = stats.ranges[best], stats.means
    yield f"{best}, {len(layers)} layers", quantise(content, layers, ranges, means)
    ranked = rank_layers(content, layers, ranges, means, spread(deviation_squares, _NUM_RANKING))
    num_float = 1
    while num_float < len(layers):
        in_float = set(ranked[:num_float])
        chosen = [layer for layer in layers if layer not in in_float]
        yield f"{best}, {len(chosen)} of {len(layers)} layers", quantise(content, chosen, ranges, means)
        num_float += max(1, num_float // 2)


def rank_layers(
    content: bytes, layers: Sequence[Layer], ranges: TensorsData, means: Mapping[str, Array], squares: Sequence[Array]
) -> list[Layer]:
    """The layers by the deviation that each causes if it alone is quantised, the largest first."""
    exact = outputs_of(content, squares)
    costs = {
        layer: deviation(exact, outputs_of(quantise(content, [layer], ranges, means), squares)) for layer in layers
    }
    return sorted(layers, key=costs.__getitem__, reverse=True)


def _with_provenance(content: bytes, attempt: Attempt) -> bytes:
    """The model with the measured attempt in the provenance of its metadata."""
    model = onnx.load_from_string(content)
    entry = next(entry for entry in model.metadata_props if entry.key == KEY)
    document: dict[str, Any] = json.loads(entry.value)
    document["provenance"]["precision"] = asdict(attempt)
    entry.value = json.dumps(document, allow_nan=False)
    data: bytes = model.SerializeToString()
    return data


def _write(out: Path, content: bytes, model: Model) -> None:
    """Write model and golden samples; their outputs are this file's, since the network's are of another precision."""
    samples = make_samples(model.bundle.size)
    write_model(out, content)
    write_golden(golden_path(out), samples, [graph_outputs(model, sample.pixels) for sample in samples])
