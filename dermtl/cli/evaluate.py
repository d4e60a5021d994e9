"""``dermtl evaluate``."""

from pathlib import Path

import click


@click.command()
@click.argument("model", metavar="RUN|MODEL.onnx", type=click.Path(path_type=Path))
@click.option("--manifest", type=click.Path(path_type=Path), help="Another table; default: the run's own.")
@click.option("--split", default="test", show_default=True, help="train, val, test, or all.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to write. [default: evaluation/<split> in the run]"
)
@click.option("--resamples", default=2000, show_default=True, help="Of the bootstrap behind the intervals.")
@click.option("--allow-leakage", is_flag=True, help="Go on where the table holds what was trained on; recorded.")
def evaluate(
    model: Path, manifest: Path | None, split: str, out: Path | None, resamples: int, allow_leakage: bool
) -> None:
    """Score a run or an exported model; the figures are the same.

    Writes metrics.json, predictions.csv, measures.npz and report.html. Intervals are 95%, from resampling whole groups.
    Another table is refused where it holds copies of pictures that the model was trained on, or ids that they have.

    \b
    Example:
      dermtl evaluate runs/demo
      dermtl evaluate model.onnx --manifest clinic/labels.csv --split all --out clinic/evaluation
    """
    from dermtl.cli.extras import needs
    from dermtl.cli.table import show_table
    from dermtl.evaluation.evaluate import evaluate as evaluate_
    from dermtl.evaluation.leakage import find_leaks
    from dermtl.evaluation.subject import exported_subject

    if model.is_dir():
        with needs("train"):
            from dermtl.model.subject import run_subject
        subject = run_subject(model, manifest)
    else:
        subject = exported_subject(model, manifest)
    records = subject.side(split)
    audit = find_leaks(subject.trained, records) if subject.trained else None
    if audit and not allow_leakage:
        audit.refuse()
    evaluation = evaluate_(
        subject.predictor,
        records,
        subject.plans,
        split=split,
        model=subject.facts,
        leakage=audit.to_json() if audit else None,
        resamples=resamples,
    )
    folder = out or subject.folder / split
    evaluation.write(folder)
    if audit:
        audit.write(folder)
    rows = [
        (head, metric, *(_figure(figure[key]) for key in ("value", "low", "high")), str(figure["n"]))
        for head, figures in evaluation.heads.items()
        for metric, figure in figures.items()
    ]
    show_table(("head", "metric", "value", "low", "high", "n"), rows)
    with needs("train"):
        from dermtl.evaluation.report import write_report
    write_report(folder / "report.html", evaluation, subject, records)
    click.echo(f"report: {folder / 'report.html'}")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
