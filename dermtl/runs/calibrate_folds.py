"""Thresholds of the ensemble of a cross-validation, settled on records by the members that did not learn from them."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from dermtl.errors import BundleError, ConfigError, DermtlError
from dermtl.evaluation.decisions.fit import fit_thresholds
from dermtl.evaluation.decisions.rule import decision_rules
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.predict.predict import predict_rows
from dermtl.evaluation.predict.probabilities import ranked_output, read_probabilities
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.calibrate import write_decisions
from dermtl.runs.folder import RunFolder
from dermtl.runs.folds import fold_targets, members_digest
from dermtl.runtime.decision import Decisions

_log = logging.getLogger(__name__)


def calibrate_folds(
    path: Path, *, rule: str | None = None, lower_bound: bool = False, replace_old: bool = False
) -> Decisions:
    """Settle the ensemble's thresholds, and write ``decisions.json`` beside ``folds.json``.

    They are chosen on the mean answer of those members that did not learn from a record, which are the one that tested
    on it and the one that validated on it, and applied to the mean of all. Scores of single members would not do: they
    are more extreme than a mean. The mean has no temperature: the members' own are inside it.

    Args:
        path: The folder of the folds.
        rule: For every question, in place of the heads' own.
        lower_bound: With ``rule``.
        replace_old: Settle again although it was done.

    Returns:
        What was settled; empty, and nothing written, where no head gives probabilities of classes or labels.

    Raises:
        ConfigError: It was settled before, or the rule is none.
        DermtlError: A fold or a record cannot be read.
    """
    folder = RunFolder(path)
    if folder.decisions.exists() and not replace_old:
        hint = "thresholds stay frozen; dermtl calibrate --replace settles them again"
        raise ConfigError("exists already", where=str(folder.decisions), hint=hint)
    subjects = list(fold_targets(path).values())
    plans = {name: plan for name, plan in subjects[0].plans.items() if ranked_output(plan) is not None}
    if not plans:
        _log.info("nothing to settle: no head with classes or labels")
        return Decisions()
    rows = unlearned_rows(subjects, plans)
    questions, unsettled = fit_thresholds(
        read_probabilities(rows, plans), decision_rules(plans, rule, lower_bound=lower_bound)
    )
    facts = {
        "split": "out of fold",
        "folds": len(subjects),
        "records": len(rows),
        "groups": len({row["group"] for row in rows}),
        "weights": members_digest(path),
        "unsettled": unsettled,
    }
    found = Decisions(questions=questions, facts=facts)
    write_decisions(folder, found)
    return found


def unlearned_rows(subjects: Sequence[EvaluationTarget], plans: Mapping[str, HeadPlan]) -> list[dict[str, Any]]:
    """A row a record, as of predictions.csv: the mean over the members that did not learn from it.

    Args:
        subjects: The members, on the records of the cross-validation.
        plans: The heads to answer for.

    Raises:
        DataError: A record cannot be read.
    """
    answers: dict[str, list[dict[str, Any]]] = {}
    for subject in subjects:
        records = [record for record in subject.records if record.split in ("test", "val")]
        for row in predict_rows(subject.predictor, records, plans).rows:
            answers.setdefault(row["image"], []).append(row)
    return [
        {
            column: cell if isinstance(cell, str) or ".truth." in column else fmean(row[column] for row in rows)
            for column, cell in rows[0].items()
        }
        for rows in answers.values()
    ]


def calibrate_trained_folds(path: Path) -> None:
    """What ``dermtl train --folds`` does at its end: settle, unless it was done for these weights.

    Folds that cannot be settled are trained all the same: the fault is logged; dermtl calibrate says it again.
    """
    folder = RunFolder(path)
    try:
        if folder.read_decisions(members_digest(path)).facts:
            return
    except BundleError:
        _log.info("other weights than before: thresholds are settled again")
    try:
        calibrate_folds(path, replace_old=True)
    except DermtlError as error:
        _log.warning("thresholds of the ensemble are not settled: %s", error)
