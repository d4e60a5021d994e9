"""What ``dermtl evaluate`` evaluates: a run, folds, an exported model, or stored predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dermtl.arrays import Array
    from dermtl.evaluation.audit.leakage import Audit
    from dermtl.evaluation.evaluation import Evaluation
    from dermtl.evaluation.evaluation_target import EvaluationTarget
    from dermtl.evaluation.options import EvaluationOptions
    from dermtl.kinds import Record


@dataclass(frozen=True)
class Evaluated:
    """An evaluation with what its report is made from.

    Attributes:
        evaluation: The evaluation.
        records: The evaluated records.
        table: All records that there are.
        history: The metrics.csv of the training; the file may be missing.
        predict: Records to their values, for drawings; None without the model.
        audit: The comparison with the training pictures, if there was one.
    """

    evaluation: "Evaluation"
    records: "Sequence[Record]"
    table: "Sequence[Record]"
    history: Path | None
    predict: "Callable[[Sequence[Record]], Sequence[Mapping[str, Array]]] | None" = None
    audit: "Audit | None" = None


def find_target(model: Path, manifest: Path | None, split: str, *, flips: bool) -> "tuple[EvaluationTarget, str]":
    """What is evaluated, and on which split: a cross-validation has one of its own.

    Args:
        model: A run, the folder of a cross-validation, or an exported model.
        manifest: Another table than the run's own.
        split: The split that was named.
        flips: Whether to average over mirror images.
    """
    from dermtl.cli.extras import needs
    from dermtl.evaluation.evaluation_target import OUT_OF_FOLD, exported_target
    from dermtl.evaluation.predict.test_time_augmentation import FlippedPredictor

    if model.is_dir():
        with needs("train"):
            from dermtl.runs.evaluation_target import folds_target, run_target
        if (model / "folds.json").is_file():
            return folds_target(model), OUT_OF_FOLD
        target = run_target(model, manifest)
    else:
        target = exported_target(model, manifest)
    if flips:
        kinds = {name: kind for plan in target.plans.values() for name, kind in plan.outputs.items()}
        predictor = FlippedPredictor(target.predictor, kinds)
        target = replace(target, predictor=predictor, facts={**target.facts, "flips": True})
    return target, split


def evaluate_model(
    target: "EvaluationTarget",
    split: str,
    options: "EvaluationOptions",
    readers: Path | None,
    positive: tuple[str, ...],
    *,
    allow_leakage: bool,
) -> Evaluated:
    """Predict the records of a split and evaluate.

    Args:
        target: The model and its records.
        split: The split.
        options: All but the readers.
        readers: Table of readers' decisions, or None.
        positive: What they called positive.
        allow_leakage: Whether to go on where the model was trained on these pictures.
    """
    from dermtl.data.manifest.truths import refuse_without_truth
    from dermtl.evaluation.audit.leakage import find_leaks
    from dermtl.evaluation.evaluate import evaluate_target
    from dermtl.evaluation.readers.decision import find_reader_decision
    from dermtl.evaluation.readers.table import read_reader_decisions

    records = target.records_in(split)
    refuse_without_truth(records, {name: plan.target for name, plan in target.plans.items()}, split)
    if readers:
        decision = find_reader_decision(target.plans, target.decisions, positive)
        images = {record.image for record in records}
        answers = read_reader_decisions(readers, decision, images, listed=f"split {split} of the table")
        options = replace(options, readers=answers)
    audit = find_leaks(target.trained, records) if target.trained else None
    if audit and not allow_leakage:
        audit.refuse()
    leakage = audit.to_json() if audit else None
    evaluation = evaluate_target(target, records, options, split=split, leakage=leakage)
    return Evaluated(evaluation, records, target.records, target.history, target.predict_values, audit)


def evaluate_saved(
    folder: Path, manifest: Path | None, options: "EvaluationOptions", readers: Path | None, positive: tuple[str, ...]
) -> Evaluated:
    """Evaluate stored predictions again, without the model.

    Args:
        folder: A folder that ``dermtl evaluate`` wrote.
        manifest: The table that was evaluated on; None: that of the run below which the folder lies.
        options: All but the readers.
        readers: Table of readers' decisions, or None.
        positive: What they called positive.
    """
    from dermtl.evaluation.evaluate import evaluate
    from dermtl.evaluation.model_card.fields import evaluated_model
    from dermtl.evaluation.readers.decision import find_reader_decision
    from dermtl.evaluation.readers.table import read_reader_decisions
    from dermtl.evaluation.saved_evaluation import read_evaluated_table, read_saved_evaluation

    saved = read_saved_evaluation(folder)
    predictions = saved.predictions
    records, table = read_evaluated_table(saved, manifest)
    options.check(records)
    if readers:
        decision = find_reader_decision(predictions.plans, predictions.decisions, positive)
        listed = str(folder / "predictions.csv")
        answers = read_reader_decisions(readers, decision, set(predictions.images), listed=listed)
        options = replace(options, readers=answers)
    evaluation = evaluate(predictions, records, options, data=saved.data, model=saved.model)
    model = evaluated_model(folder)
    history = None if model is None else (model.parent if model.is_file() else model) / "metrics.csv"
    return Evaluated(evaluation, records, table, history)
