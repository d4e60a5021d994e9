"""``dermtl train``."""

import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as training.seed=3.")
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the run. [default: runs/<name>]")
@click.option(
    "--cache", type=click.Choice(["off", "ram", "disk"]), help="Where decoded pictures are kept. [default: ram]"
)
@click.option("--folds", type=click.IntRange(3), help="Cross-validate: one run a fold, below the run's folder.")
@click.option("--resume", is_flag=True, help="Go on with the run that is there.")
def train(
    config: Path, overrides: tuple[str, ...], run: Path | None, resume: bool, cache: str | None, folds: int | None
) -> None:
    """Train a backbone and its heads.

    Ctrl-C and SIGTERM stop after the batch at hand; --resume goes on from there.

    \b
    Example:
      dermtl train configs/demo.yaml -o training.seed=3 --run runs/seed3
      dermtl train configs/demo.yaml --folds 5 --run runs/five
    """
    from dermtl.cli.extras import needs

    with needs("train"):
        from dermtl.training.folds import train_folds
        from dermtl.training.loop.signals import Interrupted
        from dermtl.training.train import train as train_

    if cache is not None:
        overrides += (f"training.cache={cache}",)
    try:
        if folds is not None:
            path = train_folds(config, overrides, num=folds, run=run, resume=resume)
        else:
            path = train_(config, overrides, run=run, resume=resume).path
    except Interrupted as stop:
        click.echo(str(stop), err=True)
        sys.exit(stop.exit_code)
    if os.environ.get("RANK", "0") == "0":
        click.echo(f"trained: {path}")
