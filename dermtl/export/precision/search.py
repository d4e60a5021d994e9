"""A run as an ONNX file of lower precision, written only where the gate lets it through."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from dermtl.errors import BundleError, DataError, InputError
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.export.export import export_run
from dermtl.export.half import halve
from dermtl.export.precision.candidates import rungs
from dermtl.export.precision.gate import FASTER, SMALLER, Loss, losses, score, speedup
from dermtl.kinds import Record
from dermtl.runs.evaluation_target import run_target
from dermtl.runs.folder import RunFolder
from dermtl.runtime.agreement import answer
from dermtl.runtime.bundle import KEY
from dermtl.runtime.golden import golden_path, make_samples, write_golden
from dermtl.runtime.modelfile import write_model
from dermtl.runtime.predictor import Model, load
from dermtl.statistics.spread import spread

_log = logging.getLogger(__name__)
_NUM_SEEN = 64
_NUM_TRIED = 64
_NUM_FITTED = 256


@dataclass(frozen=True)
class Attempt:
    """A model that was tried.

    Attributes:
        precision: ``fp16`` or ``int8``.
        how: The way of choosing ranges, and layers left in float.
        faster: Than the exact model, in CPU time of one thread.
        smaller: Size of the file over the exact one's.
        side: Records that the losses are of: ``val``, or ``train`` where those were too large already; empty where it
            gained too little to be scored.
        losses: Figures on those records, before and after.
        passed: Whether the gate let it through.
    """

    precision: str
    how: str
    faster: float
    smaller: float
    side: str
    losses: tuple[Loss, ...]
    passed: bool


def export_precision(run: Path, out: Path, precision: str) -> list[Attempt]:
    """Export a run at a precision; see :mod:`dermtl.export.precision.gate` for what is let through.

    Int8 is calibrated on training records. Layers go back to float until its losses hold on training records, and from
    there on until they hold on the validation records; the test records are never looked at. ``auto`` takes int8 where
    it passes and is exact where not: float16 is smaller, never faster.

    Args:
        run: The run's folder; at ``fp32`` also that of the folds of a cross-validation.
        out: The ``model.onnx`` to write, with golden samples and digest beside it. Of ``fp16`` and ``int8`` that do not
            pass, nothing is written.
        precision: ``fp32``, ``fp16``, ``int8`` or ``auto``.

    Returns:
        What was tried; the last one is what was written, if it passed.

    Raises:
        ConfigError: This is not a run, or it has no weights yet.
        InputError: These are the folds of a cross-validation, and the precision is not ``fp32``.
        DataError: There are no records to calibrate on, or none that a head can be judged by.
        ExportError: The network cannot be exported or quantised.
    """
    if precision == "fp32":
        export_run(run, out)
        return []
    if RunFolder(run).folds.is_file():
        raise InputError(
            f"the ensemble of a cross-validation has no {precision} file: each record was learned from by one of its "
            "members, so nothing would tell what lower precision costs",
            where=str(run),
            hint="--precision fp32 writes the ensemble; or export one fold, such as fold-0",
        )
    subject = run_target(run)
    sides = {side: [record for record in subject.records if record.split == side] for side in ("train", "val")}
    if not all(sides.values()):
        raise DataError("has no training or no validation records", where=str(run), hint="--precision fp32 needs none")
    name = "fp16" if precision == "fp16" else "int8"
    attempts: list[Attempt] = []
    with TemporaryDirectory() as folder:
        exact_path = export_run(run, Path(folder) / "exact.onnx")
        judge = _Judge(load(exact_path, threads=1), name, subject, sides)
        content = exact_path.read_bytes()
        for how, made in _ways(content, name, judge.exact, sides["train"]):
            path = Path(folder) / "other.onnx"
            path.write_bytes(made)
            other = load(path, threads=1)
            attempts.append(judge.attempt(other, how, len(made) / len(content)))
            if attempts[-1].passed:
                _write(out, _noted(made, attempts[-1]), other)
                return attempts
            if not attempts[-1].side:
                break  # what keeps more layers in float is slower still
    if precision == "auto":
        export_run(run, out)
    return attempts


def _ways(content: bytes, name: str, exact: Model, training: Sequence[Record]) -> Iterator[tuple[str, bytes]]:
    """How it was made and the model; what is fastest comes first."""
    if name == "fp16":
        yield "weights", halve(content)
        return
    squares = [exact.prepare(record.path).pixels for record in spread(training, _NUM_SEEN + _NUM_TRIED)]
    yield from rungs(content, squares[::2], squares[1::2] or squares)


class _Judge:
    """Compares models with the exact one."""

    def __init__(self, exact: Model, name: str, subject: EvaluationTarget, sides: dict[str, list[Record]]) -> None:
        self.exact = exact
        self._name = name
        self._subject = subject
        self._sides = {"train": spread(sides["train"], _NUM_FITTED), "val": sides["val"]}
        self._squares = [exact.prepare(record.path) for record in spread(sides["val"], 8)]
        self._before = {side: score(exact, subject, records) for side, records in self._sides.items()}
        judged = {what.partition(" ")[0] for what in self._before["val"]}
        if unjudged := [head for head in subject.plans if head not in judged]:
            raise DataError(
                f"the main metric of {', '.join(unjudged)} cannot be estimated on the {len(sides['val'])} validation "
                f"records, so nothing would tell what {name} costs there",
                hint="--precision fp32 needs no judgement",
            )

    def attempt(self, other: Model, how: str, smaller: float) -> Attempt:
        """What another model gains and loses; it is scored no further than it holds."""
        faster = speedup(self.exact, other, self._squares)
        gained = smaller <= SMALLER if self._name == "fp16" else faster >= FASTER
        side, lost, held = "", tuple[Loss, ...](), gained
        for following, records in self._sides.items():
            if held:
                side, lost = following, tuple(losses(self._before[following], self._score(other, how, records)))
                held = all(loss.ok for loss in lost)
        return Attempt(self._name, how, faster, smaller, side, lost, held)

    def _score(self, other: Model, how: str, records: Sequence[Record]) -> dict[str, tuple[float, float]]:
        """The figures of another model; none if its numbers are not finite, which the gate takes as lost."""
        try:
            return score(other, self._subject, records)
        except BundleError as error:
            _log.warning("%s, %s: %s", self._name, how, error.message)
            return {}


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
