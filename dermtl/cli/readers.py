"""``dermtl readers``."""

from pathlib import Path

import click


@click.command()
@click.argument("predictions", metavar="PREDICTIONS.csv", type=click.Path(path_type=Path))
@click.argument("decisions", metavar="READERS.csv", type=click.Path(path_type=Path))
@click.option("--positive", multiple=True, required=True, help="Class, tag or node that is positive; may be repeated.")
@click.option("--head", help="Head that is meant. [default: the only one that knows these names]")
@click.option("--resamples", default=2000, show_default=True, help="Number of bootstrap resamples.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. [default: that of PREDICTIONS.csv]")
def readers(
    predictions: Path, decisions: Path, positive: tuple[str, ...], head: str | None, resamples: int, out: Path | None
) -> None:
    """Set clinicians beside a model's curve: how many of them lie below it.

    PREDICTIONS.csv is of `dermtl evaluate`. READERS.csv has the columns reader, image and decision, 1 for positive and
    0 for not, one row for each decision. Writes readers.json and readers.svg. Intervals are 95%, from resampling whole
    groups of pictures.

    \b
    Example:
      dermtl readers runs/demo/evaluation/test/predictions.csv readers.csv --positive melanoma
    """
    import json

    from dermtl.cli.extras import needs
    from dermtl.cli.table import show_table
    from dermtl.evaluation.formatting import below_text
    from dermtl.evaluation.readers.table import read_study
    from dermtl.files.atomic import write_atomic

    study = read_study(predictions, decisions, positive=positive, head=head)
    summary = {"positive": list(positive), **study.summarise(resamples=resamples)}
    with needs("train"):
        from dermtl.evaluation.readers.plot import readers_svg

        drawn = readers_svg(study, summary, decision=" or ".join(positive))
    folder = out or predictions.parent
    write_atomic(folder / "readers.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")
    write_atomic(folder / "readers.svg", drawn)
    rows = [
        (name, str(reader["n"]), *(_range(reader[part]) for part in ("sensitivity", "specificity", "gain")))
        for name, reader in [*summary["readers"].items(), ("mean", {"n": "", **summary["mean"]})]
    ]
    show_table(("reader", "pictures", "sensitivity", "specificity", "model's gain in sensitivity"), rows)
    click.echo(f"\n{below_text(summary['below'])}")
    click.echo(f"plot: {folder / 'readers.svg'}")


def _range(figure: dict[str, float | None]) -> str:
    from dermtl.evaluation.formatting import interval_text

    return "-" if figure["value"] is None else f"{figure['value']:.3f} ({interval_text(figure)})"
