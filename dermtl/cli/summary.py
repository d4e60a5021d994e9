"""What a first training ends with: its figures, its confusion matrix, and where everything lies."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from dermtl.cli.table import show_table


def summarise(run: Path) -> None:
    """Print the primary metrics with intervals, confusion matrices of the test pictures, files and the next command."""
    folder = run / "evaluation" / "test"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    click.echo()
    rows = []
    for head, name in metrics["primary"].items():
        figure = metrics["heads"][head][name]
        value, low, high = ("-" if figure[key] is None else f"{figure[key]:.3f}" for key in ("value", "low", "high"))
        rows.append((head, name, value, f"{low} to {high}", str(figure["n"])))
    show_table(("head", "primary metric", "value", "95% interval", "test pictures"), rows)
    for head, classes, counts in confusions(folder / "predictions.csv"):
        click.echo(f"\n{head}: rows are true classes, columns what was predicted")
        show_table(("", *classes), [(name, *map(str, row)) for name, row in zip(classes, counts, strict=True)])
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    best = facts["best"]
    click.echo(f"\nweights      epoch {best['epoch']} of {facts['epochs']} (training.select.by: {best['by']})")
    click.echo(f"experiment   {run / 'experiment.yaml'}")
    click.echo(f"pictures     {run / 'batch.jpg'} shows what the network was fed")
    click.echo(f"curves       {run / 'curves.png'}")
    click.echo(f"report       {folder / 'report.html'}")
    click.echo(f"model        {run / 'model.onnx'}")
    click.echo(f"next         dermtl predict {run / 'model.onnx'} PICTURES --out predictions.csv --overlay overlays")


def confusions(predictions: Path) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[int]]]]:
    """Counts of true against likeliest classes, for every head with classes.

    Args:
        predictions: ``predictions.csv`` of an evaluation.

    Yields:
        The head, its classes, and one row of counts per true class.
    """
    from dermtl.files.table import read_table

    table = [cells for _, cells in read_table(predictions)]
    columns = list(table[0]) if table else []
    for truth in (column for column in columns if column.endswith(".truth.class")):
        head = truth.removesuffix(".truth.class")
        prefix = f"{head}.probability."
        classes = [column.removeprefix(prefix) for column in columns if column.startswith(prefix)]
        counts = [[0] * len(classes) for _ in classes]
        for cells in table:
            if cells[truth] in classes:
                likeliest = max(range(len(classes)), key=lambda index: float(cells[prefix + classes[index]]))
                counts[classes.index(cells[truth])][likeliest] += 1
        yield head, classes, counts
