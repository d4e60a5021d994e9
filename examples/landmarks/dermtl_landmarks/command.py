"""``dermtl axis-lengths``: a command that comes with the head, for what ``dermtl predict`` has written."""

import json
import math
from pathlib import Path

import click


@click.command("axis-lengths")
@click.argument("predictions", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def axis_lengths(predictions: Path) -> None:
    """Print the length of every axis in PREDICTIONS, a JSON Lines file.

    \b
    Example:
      dermtl axis-lengths predictions.jsonl
    """
    for line in predictions.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for head, told in row.items():
            points = told.get("points", {}) if isinstance(told, dict) else {}
            if {"upper", "lower"} <= points.keys():
                click.echo(f"{row['image']}  {head}  {math.dist(points['upper'], points['lower']):.1f} px")
