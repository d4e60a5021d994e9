"""``dermtl evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dermtl.cli.given import given

if TYPE_CHECKING:
    from dermtl.evaluation.evaluation import Evaluation
    from dermtl.evaluation.report.explained import Explained


@click.command()
@click.argument("model", metavar="RUN|MODEL.onnx|FOLDER", type=click.Path(path_type=Path))
@click.option("--manifest", type=click.Path(path_type=Path), help="Another table. [default: the run's own]")
@click.option("--split", default="test", show_default=True, help="train, val, test, or all.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write. [default: evaluation/<split> in the run, of another table evaluation/<split>-<its folder>]",
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
    help="Prevalences for predictive values. Repeatable.",
)
@click.option(
    "--facts", type=click.Path(path_type=Path), help="Texts of the report. [default: card.yaml beside the model]"
)
@click.option(
    "--flips",
    is_flag=True,
    help="Test-time augmentation: the mean over four mirror images, at four times the cost.",
)
@click.option("--readers", type=click.Path(path_type=Path), help="Clinicians' decisions, as of dermtl readers.")
@click.option(
    "--positive",
    multiple=True,
    help="What the readers called positive; may be repeated. [default: the only frozen decision]",
)
@click.option(
    "--explain", metavar="NUM", type=click.IntRange(min=1), help="Explain so many pictures of a run, worst first."
)
@click.option("--resamples", default=2000, show_default=True, help="Number of bootstrap resamples.")
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
    """Score a run, the folds of a cross-validation, an exported model, or stored predictions.

    Writes metrics.json, predictions.csv, measures.npz, report.html and model_card.md. Intervals are 95%, from
    resampling whole groups. Temperatures and thresholds are those that were fitted on validation (dermtl calibrate);
    nothing is tuned here.

    A run and its exported model score the same. Of folds, each record is predicted by the one that tested on it, and
    all are summed up together; they have no card.

    --readers draws clinicians onto the sensitivity-specificity plot; --explain shows what a run's answers depend on.

    FOLDER is one that this command wrote: its predictions are evaluated again, with other subgroups, units, readers or
    prevalences, and without the model.

    Another table is refused where it holds copies of pictures that the model was trained on, or ids that they have.

    \b
    Example:
      dermtl evaluate runs/demo --by sex,age:20 --explain 6
      dermtl evaluate runs/demo/evaluation/test --by age:10
      dermtl evaluate model.onnx --manifest clinic/labels.csv --split all --out clinic/evaluation
    """
    from dermtl.cli.evaluated import evaluate_model, evaluate_saved, find_target
    from dermtl.cli.extras import needs
    from dermtl.evaluation.evaluation_target import OUT_OF_FOLD
    from dermtl.evaluation.model_card.fields import evaluated_model, read_card_fields
    from dermtl.evaluation.options import EvaluationOptions
    from dermtl.evaluation.saved_evaluation import is_saved_evaluation
    from dermtl.evaluation.slices.subgroups import parse_by
    from dermtl.files.atomic import write_atomic

    if positive and not readers:
        raise click.UsageError("--positive says what --readers decided on")
    is_saved, is_folds = is_saved_evaluation(model), (model / "folds.json").is_file()
    if is_saved and (ignored := given("split", "flips", "explain", "allow_leakage")):
        raise click.UsageError(f"stored predictions take no {' and no '.join(ignored)}: give the model itself")
    if is_folds and (ignored := given("split", "flips", "manifest", "readers", "explain", "allow_leakage")):
        raise click.UsageError(
            f"the folds of a cross-validation take no {' and no '.join(ignored)}; each has its own test pictures"
        )
    if explain and (flips or model.is_file()):
        raise click.UsageError("--explain takes a run, without --flips: it needs the network's own gradients")
    options = EvaluationOptions(parse_by(by) if by else (), unit, prevalences, resamples)
    card = read_card_fields(facts, evaluated_model(model) if is_saved else model)
    if is_saved:
        folder, result = out or model, evaluate_saved(model, manifest, options, readers, positive)
    else:
        target, split = find_target(model, manifest, split, flips=flips)
        name = "-".join([split.replace(" ", "-"), *(["flips"] if flips else []), *_of_other(manifest)])
        folder = out or target.folder / name
        result = evaluate_model(target, split, options, readers, positive, allow_leakage=allow_leakage)
    evaluation = result.evaluation
    evaluation.write(folder)
    if result.audit:
        result.audit.write(folder)
    _show(evaluation)
    with needs("train"):
        from dermtl.evaluation.model_card.card import model_card
        from dermtl.evaluation.report.context import Context
        from dermtl.evaluation.report.explained import write_names
        from dermtl.evaluation.report.page import write_report
    explained: dict[str, Explained] = {}
    if explain:
        from dermtl.explain.worst import explain_worst
        from dermtl.runs.folder import load_run

        explained = explain_worst(load_run(model), evaluation.predictions, result.records, num=explain)
        write_names(folder / "explained.csv", explained)
    context = Context(evaluation, result.records, result.table, card, result.history, result.predict, explained)
    write_report(folder / "report.html", context)
    if evaluation.data["split"] != OUT_OF_FOLD:
        write_atomic(folder / "model_card.md", model_card(evaluation.to_json(), card).text)
    click.echo(f"{'out of fold' if is_folds else 'report'}: {folder / 'report.html'}")


def _of_other(manifest: Path | None) -> list[str]:
    """The folder of another table, which keeps its evaluation apart from those of the run's own table."""
    return [manifest.absolute().parent.name] if manifest else []


def _show(evaluation: "Evaluation") -> None:
    from dermtl.cli.table import show_table
    from dermtl.evaluation.formatting import below_text, interval_text, number_text, threshold_text

    rows = [
        (head, metric, *(number_text(estimate[key]) for key in ("value", "low", "high")), str(estimate["n"]))
        for head, metrics in evaluation.heads.items()
        for metric, estimate in metrics.items()
    ]
    show_table(("head", "metric", "value", "low", "high", "n"), rows)
    points = [
        (
            head,
            name,
            threshold_text(decision["threshold"]),
            metric,
            number_text(of["value"]),
            interval_text(of),
        )
        for head, decisions in evaluation.decisions.items()
        for name, decision in decisions.items()
        for metric, of in decision["figures"].items()
        if metric in ("sensitivity", "specificity")
    ]
    if points:
        click.echo()
        show_table(("head", "positive", "threshold", "at it", "value", "95% interval"), points)
    if evaluation.readers:
        click.echo(f"\n{below_text(evaluation.readers.summary['below'])}")
