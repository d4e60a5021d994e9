"""``dermtl model-card``."""

from pathlib import Path

import click


@click.command()
@click.argument("path", metavar="RUN|FOLDER", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Split of a run whose evaluation is described.")
@click.option(
    "--facts", type=click.Path(path_type=Path), help="Texts that no figure tells. [default: card.yaml of the run]"
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write. [default: model_card.md in the evaluation]"
)
@click.option("--strict", is_flag=True, help="Exit with 1 while anything is still to be filled in.")
def model_card(path: Path, split: str, facts: Path | None, out: Path | None, strict: bool) -> None:
    """Write a model card for Hugging Face from an evaluation's figures and card.yaml.

    card.yaml has the keys intended_use, out_of_scope, limits, population, reference_standard, exclusions,
    external_validation, licence and contact.

    \b
    Example:
      dermtl model-card runs/demo --out README.md --strict
    """
    import sys

    from dermtl.cli.extras import needs
    from dermtl.evaluation.model_card.fields import evaluated_model, read_card_fields
    from dermtl.files.atomic import write_atomic

    with needs("train"):
        from dermtl.evaluation.model_card.card import find_metrics, read_metrics
        from dermtl.evaluation.model_card.card import model_card as model_card_

    metrics = find_metrics(path, split)
    model = evaluated_model(metrics.parent)
    if facts is None and model is None:
        click.echo("card: no texts, since nothing says whose evaluation this is; --facts names a card.yaml", err=True)
    card = model_card_(read_metrics(metrics), read_card_fields(facts, model))
    target = out or metrics.with_name("model_card.md")
    write_atomic(target, card.text)
    click.echo(f"model card: {target}")
    for name in card.missing:
        click.echo(f"to be filled in: {name}", err=True)
    if strict and card.missing:
        sys.exit(1)
