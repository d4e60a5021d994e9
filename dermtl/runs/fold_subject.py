"""The folds of a cross-validation as what is evaluated: every record is answered by the fold that tested on it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.runs.folder import RunFolder
from dermtl.runtime.decision import Decisions

_SHARED = ("name", "versions", "backbone", "leakage")  # facts that are the same of every fold


def fold_subject(path: Path, subjects: Mapping[str, EvaluationTarget]) -> EvaluationTarget:
    """All folds as one subject; its records are in the order in which the folds tested them.

    Args:
        path: The folder of the folds.
        subjects: The folds, as of :func:`~dermtl.runs.folds.fold_targets`.
    """
    tested = [(record, subject) for subject in subjects.values() for record in subject.side("test")]
    first = next(iter(subjects.values()))
    weights = {name: RunFolder(path / name).weights_digest() for name in subjects}
    return replace(
        first,
        records=[replace(record, split="") for record, _ in tested],
        folder=path / "evaluation",
        history=None,
        facts={**{key: first.facts[key] for key in _SHARED if key in first.facts}, "weights": weights},
        decisions=Decisions(),
        apart={record.image: subject.predictor for record, subject in tested},
    )
