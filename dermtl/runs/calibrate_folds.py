"""Thresholds of the ensemble of a cross-validation, fitted on records by the members that did not learn from them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dermtl.arrays import Array
from dermtl.evaluation.decisions.fit import fit_thresholds
from dermtl.evaluation.decisions.rule import decision_rules
from dermtl.evaluation.evaluation_target import OUT_OF_FOLD, EvaluationTarget
from dermtl.evaluation.predict.predict import predict
from dermtl.evaluation.predict.predictions import Predictions, Truths
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.calibrate import fit_once, ranking_heads, refuse_frozen, write_decisions
from dermtl.runs.evaluation_target import fold_targets
from dermtl.runs.folder import RunFolder
from dermtl.runs.folds import members_digest
from dermtl.runtime.decision import Decisions

_log = logging.getLogger(__name__)


def calibrate_folds(
    path: Path, *, rule: str | None = None, lower_bound: bool = False, replace_old: bool = False
) -> Decisions:
    """Fit the ensemble's thresholds, and write ``decisions.json`` beside ``folds.json``.

    They are chosen on the mean answer of those members that did not learn from a record, which are the one that tested
    on it and the one that validated on it, and applied to the mean of all. Scores of single members would not do: they
    are more extreme than a mean. The mean has no temperature: the members' own are inside it.

    Args:
        path: The folder of the folds.
        rule: Rule for every decision, in place of the heads' own rules.
        lower_bound: Only with ``rule``: whether Wilson's lower limit must meet it.
        replace_old: Fit again although it was done.

    Returns:
        What was fitted; empty, and nothing written, where no head gives probabilities of classes or labels.

    Raises:
        ConfigError: The thresholds were fitted before, or the rule is invalid.
        DermtlError: A fold or a record cannot be read.
    """
    folder = RunFolder(path)
    if folder.decisions.exists() and not replace_old:
        refuse_frozen(folder)
    folds = list(fold_targets(path).values())
    plans = ranking_heads(folds[0].plans)
    if not plans:
        _log.info("nothing to settle: no head with classes or labels")
        return Decisions()
    rules = decision_rules(plans, rule, lower_bound=lower_bound)
    predictions = unlearned_predictions(folds, plans)
    decisions, unfitted = fit_thresholds(predictions.probabilities, rules)
    facts = {
        "split": OUT_OF_FOLD,
        "folds": len(folds),
        "records": len(predictions),
        "groups": len(set(predictions.groups)),
        "weights": members_digest(path),
        "unsettled": unfitted,
    }
    frozen = Decisions(binary=decisions, facts=facts)
    write_decisions(folder, frozen)
    return frozen


def unlearned_predictions(folds: Sequence[EvaluationTarget], plans: Mapping[str, HeadPlan]) -> Predictions:
    """Each record once, with the mean outputs of the members that did not learn from it.

    Args:
        folds: The members, on the records of the cross-validation.
        plans: The heads to predict.

    Raises:
        DataError: A record cannot be read.
    """
    parts = []
    for fold in folds:
        records = [record for record in fold.records if record.split in ("test", "val")]
        parts.append(predict(replace(fold, plans=plans, decisions=Decisions()), records))
    every = [image for part in parts for image in part.images]
    images = list(dict.fromkeys(every))
    position = {image: row for row, image in enumerate(images)}
    rows = np.array([position[image] for image in every], np.int64)
    counts = np.bincount(rows)
    first = np.unique(rows, return_index=True)[1]  # where each record comes first
    outputs = {}
    for output in parts[0].outputs:
        sums = np.zeros((len(images), parts[0].outputs[output].shape[1]))
        np.add.at(sums, rows, np.concatenate([part.outputs[output] for part in parts]))
        outputs[output] = sums / counts[:, None]
    groups = [group for part in parts for group in part.groups]
    return replace(
        parts[0],
        images=images,
        groups=[groups[row] for row in first.tolist()],
        outputs=outputs,
        truths={head: truths for head in plans if (truths := _truths(head, parts, first)) is not None},
        record_scores={},
    )


def _truths(head: str, parts: Sequence[Predictions], rows: Array) -> Truths | None:
    """The truths of one head in some rows of all parts, one below another; None where nobody knows any."""
    some = next((part.truths[head] for part in parts if head in part.truths), None)
    if some is None:
        return None
    nothing = Truths(np.zeros(0, bool), {})
    known, columns = [], {name: list[Array]() for name in some.columns}
    for part in parts:
        of_part = part.truths.get(head, nothing)
        known.append(of_part.known if len(of_part.known) else np.zeros(len(part), bool))
        for name, of_all in columns.items():
            of_all.append(of_part.columns.get(name, np.zeros(len(part), some.columns[name].dtype)))
    return Truths(np.concatenate(known)[rows], {name: np.concatenate(every)[rows] for name, every in columns.items()})


def calibrate_trained_folds(path: Path) -> None:
    """What ``dermtl train --folds`` does at its end: fit, unless it was done for these weights.

    Folds that cannot be calibrated are trained all the same: the fault is logged; dermtl calibrate says it again.
    """
    fit_once(RunFolder(path), members_digest(path), lambda: calibrate_folds(path, replace_old=True))
