"""A run as an ONNX file of lower precision, written only where the gate lets it through."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from dermtl.errors import DataError
from dermtl.export.export import export_run
from dermtl.export.gate import FASTER, SMALLER, Loss, losses, score, speedup
from dermtl.export.half import halve
from dermtl.export.quantise import METHODS, quantise
from dermtl.imaging.affine import Array
from dermtl.model.subject import run_subject
from dermtl.runtime.agreement import answer
from dermtl.runtime.bundle import KEY
from dermtl.runtime.golden import golden_path, make_samples, write_golden
from dermtl.runtime.modelfile import write_model
from dermtl.runtime.predictor import Model, load

NUM_CALIBRATION = 64
SPARE = 1


@dataclass(frozen=True)
class Attempt:
    """A model that was tried.

    Attributes:
        precision: ``fp16`` or ``int8``.
        how: Calibration, and layers left in float.
        faster: Than the exact model, in CPU time of one thread.
        smaller: Size of the file over the exact one's.
        losses: Figures on the validation records, before and after.
        passed: Whether the gate let it through.
    """

    precision: str
    how: str
    faster: float
    smaller: float
    losses: tuple[Loss, ...]
    passed: bool


def export_precision(run: Path, out: Path, precision: str) -> list[Attempt]:
    """Export a run at a precision; see :mod:`dermtl.export.gate` for what is let through.

    Int8 is calibrated on training records and judged on validation records; the test records are never looked at.
    ``auto`` takes int8 where it passes and is exact where not: float16 is smaller, never faster.

    Args:
        run: The run's folder.
        out: The ``model.onnx`` to write, with golden samples and digest beside it. Of ``fp16`` and ``int8`` that do not
            pass, nothing is written.
        precision: ``fp32``, ``fp16``, ``int8`` or ``auto``.

    Returns:
        What was tried; the last one is what was written, if it passed.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        DataError: There are no records to calibrate on or to judge by.
        ExportError: The network cannot be exported or quantised.
    """
    if precision == "fp32":
        export_run(run, out)
        return []
    subject = run_subject(run)
    training = [record for record in subject.records if record.split == "train"]
    judged = [record for record in subject.records if record.split == "val"]
    if not training or not judged:
        raise DataError("has no training or no validation records", where=str(run), hint="--precision fp32 needs none")
    attempts: list[Attempt] = []
    with TemporaryDirectory() as folder:
        exact_path = export_run(run, Path(folder) / "exact.onnx")
        exact = load(exact_path, threads=1)
        content = exact_path.read_bytes()
        step = max(1, len(training) // NUM_CALIBRATION)
        squares = [exact.prepare(record.path) for record in training[::step][:NUM_CALIBRATION]]
        before = score(exact, subject, judged)
        makers = _halves(content) if precision == "fp16" else _eighths(content, [square.pixels for square in squares])
        for how, make in makers:
            made = make()
            path = Path(folder) / "other.onnx"
            path.write_bytes(made)
            other = load(path, threads=1)
            lost = tuple(losses(before, score(other, subject, judged)))
            faster, smaller = speedup(exact, other, squares[:8]), len(made) / len(content)
            gained = smaller <= SMALLER if precision == "fp16" else faster >= FASTER
            passed = gained and all(loss.ok for loss in lost)
            name = "fp16" if precision == "fp16" else "int8"
            attempts.append(Attempt(name, how, faster, smaller, lost, passed))
            if passed:
                _write(out, _noted(made, attempts[-1]), other)
                return attempts
            if not gained:
                break  # what keeps more layers in float is slower still
    if precision == "auto":
        export_run(run, out)
    return attempts


def _halves(content: bytes) -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "weights", lambda: halve(content)


def _eighths(content: bytes, squares: list[Array]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The fastest first, then ways that lose less."""
    for spare in (0, SPARE):
        for method in METHODS:
            kept = f", {spare} layer at either end in float" if spare else ""
            yield (
                f"{method}{kept}",
                lambda method=method, spare=spare: quantise(  # type: ignore[misc]
                    content, squares, method=method, spare=spare
                ),
            )


def _noted(content: bytes, attempt: Attempt) -> bytes:
    """The file with what was measured of it in its provenance."""
    model = onnx.load_from_string(content)
    entry = next(entry for entry in model.metadata_props if entry.key == KEY)
    document: dict[str, Any] = json.loads(entry.value)
    document["provenance"]["precision"] = asdict(attempt)
    entry.value = json.dumps(document, allow_nan=False)
    data: bytes = model.SerializeToString()
    return data


def _write(out: Path, content: bytes, model: Model) -> None:
    """The golden answers are this file's own: the network's are those of another precision."""
    samples = make_samples(model.bundle.size)
    write_model(out, content)
    write_golden(golden_path(out), samples, [answer(model, sample.pixels) for sample in samples])
