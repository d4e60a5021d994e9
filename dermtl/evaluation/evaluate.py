"""From predictions to an evaluation: metrics with intervals, decisions, calibration, slices. Nothing is tuned here."""

from collections.abc import Mapping, Sequence
from typing import Any

from dermtl.evaluation.audit.participant_flow import participant_flow
from dermtl.evaluation.decisions.operating_point import operating_point_metrics
from dermtl.evaluation.evaluation import Evaluation
from dermtl.evaluation.evaluation_target import EvaluationTarget
from dermtl.evaluation.metrics.calibration import calibration_metrics
from dermtl.evaluation.metrics.head_metrics import head_metrics
from dermtl.evaluation.options import EvaluationOptions
from dermtl.evaluation.predict.predict import predict
from dermtl.evaluation.predict.predictions import Predictions
from dermtl.evaluation.slices.subgroups import subgroup_metrics
from dermtl.evaluation.slices.units import unit_report
from dermtl.kinds import Record


def evaluate_target(
    target: EvaluationTarget,
    records: Sequence[Record],
    options: EvaluationOptions | None = None,
    *,
    split: str = "",
    leakage: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Predict every record once and evaluate.

    Args:
        target: A run, an exported model, or the folds of a cross-validation.
        records: Records of the target to evaluate on.
        options: Subgroups, units, prevalences, resamples, readers.
        split: Name of the split, for the report.
        leakage: What the comparison with the training pictures gave; None where there was none.

    Raises:
        DataError: There is no record, one cannot be read, or a column is missing.
    """
    options = options or EvaluationOptions()
    options.check(records)
    predictions = predict(target, records)
    data = describe_data(predictions, records, target.records, split=split, leakage=leakage)
    return evaluate(predictions, records, options, data=data, model=target.facts)


def evaluate(
    predictions: Predictions,
    records: Sequence[Record],
    options: EvaluationOptions,
    *,
    data: Mapping[str, Any],
    model: Mapping[str, Any],
) -> Evaluation:
    """Evaluate predictions, just made or read from a folder.

    Args:
        predictions: What a model predicted.
        records: The predicted records in the order of the predictions, with the cells that slices need.
        options: Subgroups, units, prevalences, resamples, readers.
        data: What :func:`describe_data` gives.
        model: What the model says of itself.

    Raises:
        ManifestError: A column of the options is missing.
    """
    plans, probabilities, frozen = predictions.plans, predictions.probabilities, predictions.decisions
    metrics = {name: plan.metrics() for name, plan in plans.items()}
    resamples = options.resamples

    def groups_of(indices: Sequence[int]) -> list[str]:
        return [predictions.groups[index] for index in indices]

    groups = {head: groups_of(of_head.indices.tolist()) for head, of_head in probabilities.items()}
    return Evaluation(
        predictions=predictions,
        heads={
            head: head_metrics(
                head,
                metrics[head],
                scores,
                groups_of(scores.indices.tolist()),
                probabilities.get(head),
                baselines=predictions.baselines.get(head, {}),
                resamples=resamples,
            )
            for head, scores in predictions.record_scores.items()
        },
        primary={head: of_head.primary for head, of_head in metrics.items()},
        data=data,
        model=model,
        decisions={
            head: {
                decision.name: operating_point_metrics(
                    decision, of_head, groups[head], prevalences=options.prevalences, resamples=resamples
                )
                for decision in frozen.of(head)
            }
            for head, of_head in probabilities.items()
        },
        calibration={
            head: calibration_metrics(of_head, frozen, groups[head], resamples=resamples)
            for head, of_head in probabilities.items()
        },
        subgroups={
            by.name: subgroup_metrics(
                by,
                records,
                metrics,
                predictions.record_scores,
                probabilities,
                frozen.binary,
                resamples=resamples,
            )
            for by in options.by
        },
        units=unit_report(records, metrics, probabilities, frozen.binary, column=options.unit, resamples=resamples),
        readers=options.readers.study(predictions.table(), resamples=resamples) if options.readers else None,
    )


def describe_data(
    predictions: Predictions,
    records: Sequence[Record],
    table: Sequence[Record],
    *,
    split: str,
    leakage: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The part ``data`` of metrics.json: how many records there are, and who was left out.

    Args:
        predictions: What was predicted.
        records: The predicted records.
        table: All records that there are, to account for those left out.
        split: Name of the split.
        leakage: What the comparison with the training pictures gave; None where there was none.
    """
    return {
        "split": split,
        "records": len(records),
        "groups": len({record.group for record in records}),
        **({} if leakage is None else {"leakage": leakage}),
        "annotated": {head: len(scores) for head, scores in predictions.record_scores.items()},
        "flow": participant_flow(table, records, predictions.plans, predictions.record_scores),
    }
