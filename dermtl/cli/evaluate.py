"""``dermtl evaluate``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dermtl.cli.given import given

if TYPE_CHECKING:
    from dermtl.evaluation.evaluate import Evaluation
    from dermtl.evaluation.model_card.fields import CardFields


@click.command()
@click.argument("model", metavar="RUN|MODEL.onnx", type=click.Path(path_type=Path))
@click.option("--manifest", type=click.Path(path_type=Path), help="Another table; default: the run's own.")
@click.option("--split", default="test", show_default=True, help="train, val, test, or all.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to write. [default: evaluation/<split> in the run]"
)
@click.option("--by", metavar="COLUMN[:WIDTH],...", help="Subgroups by columns of the table; numbers in bins.")
@click.option(
    "--unit", metavar="COLUMN", help="Pictures of one lesion or patient. [default: lesion_id, else the groups]"
)
@click.option(
    "--prevalence",
    "prevalences",
    multiple=True,
    type=click.FloatRange(0, 1),
    default=(0.01, 0.05, 0.2),
    show_default=True,
    help="At which predictive values are stated. Repeatable.",
)
@click.option(
    "--facts", type=click.Path(path_type=Path), help="Texts of the report. [default: card.yaml beside the model]"
)
@click.option(
    "--flips", is_flag=True, help="Average each answer over the picture's mirror images: four times the cost."
)
@click.option("--readers", type=click.Path(path_type=Path), help="Clinicians' decisions, as of dermtl readers.")
@click.option(
    "--positive",
    multiple=True,
    help="What the readers called positive; may be repeated. [default: the only frozen question]",
)
@click.option(
    "--explain", metavar="NUM", type=click.IntRange(min=1), help="Explain so many pictures of a run, worst first."
)
@click.option("--resamples", default=2000, show_default=True, help="Of the bootstrap behind the intervals.")
@click.option("--allow-leakage", is_flag=True, help="Go on where the table holds what was trained on; recorded.")
def evaluate(
    model: Path,
    manifest: Path | None,
    split: str,
    out: Path | None,
    by: str | None,
    unit: str | None,
    prevalences: tuple[float, ...],
    facts: Path | None,
    flips: bool,
    readers: Path | None,
    positive: tuple[str, ...],
    explain: int | None,
    resamples: int,
    allow_leakage: bool,
) -> None:
    """Score a run, the folds of a cross-validation, or an exported model.

    Writes metrics.json, predictions.csv, measures.npz, report.html and model_card.md. Intervals are 95%, from
    resampling whole groups. Temperatures and thresholds are those that were settled on validation (dermtl calibrate);
    nothing is tuned here.

    A run and its exported model score the same. Of folds, each record is predicted by the one that tested on it, and
    all are summed up together; they have no card.

    --readers draws clinicians onto the sensitivity-specificity plot; --explain shows what a run's answers depend on.

    Another table is refused where it holds copies of pictures that the model was trained on, or ids that they have.

    \b
    Example:
      dermtl evaluate runs/demo --by sex,age:20 --explain 6
      dermtl evaluate model.onnx --manifest clinic/labels.csv --split all --out clinic/evaluation
    """
    from dermtl.cli.extras import needs
    from dermtl.data.manifest.truths import refuse_without_truth
    from dermtl.evaluation.audit.leakage import find_leaks
    from dermtl.evaluation.evaluate import evaluate as evaluate_
    from dermtl.evaluation.evaluation_target import exported_target
    from dermtl.evaluation.model_card.fields import read_card_fields
    from dermtl.evaluation.predict.test_time_augmentation import FlippedPredictor
    from dermtl.evaluation.readers.table import read_readings, readers_question
    from dermtl.evaluation.slices.subgroups import parse_by
    from dermtl.files.atomic import write_atomic

    if positive and not readers:
        raise click.UsageError("--positive says what --readers decided on")
    if explain and (flips or model.is_file()):
        raise click.UsageError("--explain takes a run, without --flips: it needs the network's own gradients")
    summing: dict[str, Any] = {
        "by": parse_by(by) if by else [],
        "unit": unit,
        "prevalences": prevalences,
        "resamples": resamples,
    }
    stated = read_card_fields(facts, model)
    if (model / "folds.json").is_file():
        if ignored := given("split", "flips", "manifest", "readers", "explain", "allow_leakage"):
            raise click.UsageError(
                f"the folds of a cross-validation take no {' and no '.join(ignored)}; each has its own test pictures"
            )
        _out_of_fold(model, out or model / "evaluation" / "out-of-fold", stated, summing)
        return
    if model.is_dir():
        with needs("train"):
            from dermtl.runs.evaluation_target import run_target
        subject = run_target(model, manifest)
    else:
        subject = exported_target(model, manifest)
    if flips:
        kinds = {name: kind for plan in subject.plans.values() for name, kind in plan.outputs.items()}
        subject = replace(subject, predictor=FlippedPredictor(subject.predictor, kinds))
    records = subject.side(split)
    refuse_without_truth(records, {name: plan.target for name, plan in subject.plans.items()}, split)
    beside = None
    if readers:
        question = readers_question(subject.plans, subject.decisions, positive)
        beside = read_readings(
            readers, question, {record.image for record in records}, listed=f"split {split} of the table"
        )
    audit = find_leaks(subject.trained, records) if subject.trained else None
    if audit and not allow_leakage:
        audit.refuse()
    evaluation = evaluate_(
        subject.predictor,
        records,
        subject.plans,
        table=subject.records,
        split=split,
        model={**subject.facts, "flips": True} if flips else subject.facts,
        leakage=audit.to_json() if audit else None,
        decisions=subject.decisions,
        readers=beside,
        **summing,
    )
    folder = out or subject.folder / (f"{split}-flips" if flips else split)
    evaluation.write(folder)
    if audit:
        audit.write(folder)
    _show(evaluation)
    with needs("train"):
        from dermtl.evaluation.model_card.card import model_card
        from dermtl.evaluation.report.explained import Explained, write_names
        from dermtl.evaluation.report.page import write_report
    explained: dict[str, Explained] = {}
    if explain:
        from dermtl.explain.worst import explain_worst
        from dermtl.runs.folder import load_run

        explained = explain_worst(load_run(model), evaluation, records, num=explain)
        write_names(folder / "explained.csv", explained)
    write_report(folder / "report.html", evaluation, subject, records, stated, explained=explained)
    write_atomic(folder / "model_card.md", model_card(evaluation.to_json(), stated).text)
    click.echo(f"report: {folder / 'report.html'}")


def _out_of_fold(model: Path, folder: Path, stated: "CardFields", summing: dict[str, Any]) -> None:
    """Score the folds of a cross-validation, each on what it tested on."""
    from dermtl.cli.extras import needs

    with needs("train"):
        from dermtl.evaluation.report.page import write_report
        from dermtl.runs.fold_subject import fold_subject
        from dermtl.runs.folds import evaluate_folds, fold_targets
    subjects = fold_targets(model)
    evaluation = evaluate_folds(subjects, **summing)
    evaluation.write(folder)
    _show(evaluation)
    subject = fold_subject(model, subjects)
    write_report(folder / "report.html", evaluation, subject, subject.records, stated)
    click.echo(f"out of fold: {folder / 'report.html'}")


def _show(evaluation: "Evaluation") -> None:
    from dermtl.cli.table import show_table
    from dermtl.evaluation.formatting import below_text, interval_text, threshold_text

    rows = [
        (head, metric, *(_figure(figure[key]) for key in ("value", "low", "high")), str(figure["n"]))
        for head, figures in evaluation.heads.items()
        for metric, figure in figures.items()
    ]
    show_table(("head", "metric", "value", "low", "high", "n"), rows)
    decided = [
        (head, question, threshold_text(found["threshold"]), name, _figure(figure["value"]), interval_text(figure))
        for head, asked in evaluation.decisions.items()
        for question, found in asked.items()
        for name, figure in found["figures"].items()
        if name in ("sensitivity", "specificity")
    ]
    if decided:
        click.echo()
        show_table(("head", "positive", "threshold", "at it", "value", "95% interval"), decided)
    if evaluation.readers:
        click.echo(f"\n{below_text(evaluation.readers.summary['below'])}")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
