"""What a first training ends with: its figures, its confusion matrix, and where everything lies."""

import json
from pathlib import Path

import click

from dermtl.cli.table import show_table


def summarise(run: Path) -> None:
    """Print the primary metrics with intervals, confusion matrices of the test pictures, files and the next command."""
    from dermtl.evaluation.saved_evaluation import read_saved_evaluation

    folder = run / "evaluation" / "test"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    click.echo()
    rows = []
    for head, name in metrics["primary"].items():
        figure = metrics["heads"][head][name]
        value, low, high = ("-" if figure[key] is None else f"{figure[key]:.3f}" for key in ("value", "low", "high"))
        rows.append((head, name, value, f"{low} to {high}", str(figure["n"])))
    show_table(("head", "primary metric", "value", "95% interval", "test pictures"), rows)
    for head, probabilities in read_saved_evaluation(folder).predictions.probabilities.items():
        if not probabilities.exclusive:
            continue
        counts = probabilities.confusion().counts.astype(int).tolist()
        click.echo(f"\n{head}: rows are true classes, columns what was predicted")
        cells = [(name, *map(str, row)) for name, row in zip(probabilities.names, counts, strict=True)]
        show_table(("", *probabilities.names), cells)
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    best = facts["best"]
    click.echo(f"\nweights      epoch {best['epoch']} of {facts['epochs']} (training.select.by: {best['by']})")
    click.echo(f"experiment   {run / 'experiment.yaml'}")
    click.echo(f"pictures     {run / 'batch.jpg'} shows what the network was fed")
    click.echo(f"curves       {run / 'curves.png'}")
    click.echo(f"report       {folder / 'report.html'}")
    click.echo(f"model        {run / 'model.onnx'}")
    click.echo(f"next         dermtl predict {run / 'model.onnx'} PICTURES --out predictions.csv --overlay overlays")
