"""``dermtl train``."""

import os
import shlex
import sys
from pathlib import Path

import click

from dermtl.cli.given import given

_TABLES = (".csv", ".tsv", ".txt")
_KEYS = {
    "epochs": "training.stages.0.epochs",
    "lr": "training.stages.0.lr",
    "batch": "training.batch_size",
    "size": "backbone.image_size",
    "device": "training.accelerator",
    "seed": "training.seed",
    "cache": "training.cache",
}
_OF_STAGES = ("epochs", "lr")


@click.command()
@click.argument("source", metavar="EXPERIMENT|FOLDER|TABLE.csv", type=click.Path(path_type=Path))
@click.option("-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as training.seed=3.")
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the run. [default: runs/<name>]")
@click.option("--label", metavar="COLUMN", help="Column of the class (folder or table only).")
@click.option("--mask", metavar="COLUMN", help="Column with the path of the mask (folder or table only).")
@click.option("--group", metavar="COLUMN", help="Column whose equal values stay in one split (folder or table only).")
@click.option("--backbone", metavar="NAME", help="Name of a model in timm (folder or table only).")
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Pretrained weights of the backbone (folder or table only).",
)
@click.option("--epochs", type=click.IntRange(1), help="Number of epochs, if there is one stage.")
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="Learning rate, if there is one stage.")
@click.option("--batch", type=click.IntRange(1), help="Number of pictures per step.")
@click.option("--size", metavar="PX", type=click.IntRange(32), help="Side of the network's picture in pixels.")
@click.option("--device", metavar="NAME", help="Device that trains: cpu, cuda, mps or auto.")
@click.option("--seed", type=int, help="Seed of everything random.")
@click.option(
    "--cache", type=click.Choice(["off", "ram", "disk"]), help="Where decoded pictures are stored. [default: ram]"
)
@click.option("--folds", type=click.IntRange(3), help="Cross-validate: one run per fold, below the run's folder.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
def train(
    source: Path,
    overrides: tuple[str, ...],
    run: Path | None,
    label: str | None,
    mask: str | None,
    group: str | None,
    backbone: str | None,
    weights: Path | None,
    folds: int | None,
    resume: bool,
    **settings: object,
) -> None:
    """Train a backbone and its heads.

    A folder of pictures or a table is imported, an experiment for what it holds is written into the run's folder,
    trained, evaluated, exported and verified. An experiment file is trained.

    Ctrl-C and SIGTERM stop after the current batch; --resume continues from there.

    \b
    Example:
      dermtl train photos --label diagnosis --group patient
      dermtl train configs/demo.yaml -o training.seed=3 --run runs/seed3
      dermtl train configs/demo.yaml --folds 5 --run runs/five
    """
    short = {key: value for key, value in settings.items() if value is not None}
    every = (*overrides, *(f"{_KEYS[key]}={value}" for key, value in short.items()))
    stage_options = [f"--{key}" for key in _OF_STAGES if key in short]
    if (source / "run.json").is_file():
        raise click.UsageError(f"{source} is a run; its experiment goes on with --run {source} --resume")
    if source.is_dir() or source.suffix.lower() in _TABLES:
        if refused := given("folds", "resume"):
            raise click.UsageError(f"{', '.join(refused)}: only for an experiment file; dermtl init writes one")
        if os.environ.get("WORLD_SIZE", "1") != "1":
            raise click.UsageError("several processes: only for an experiment file; dermtl init writes one")
        _train_pictures(source, run, (label or "", group or "", mask or ""), backbone, weights, every, stage_options)
        return
    if refused := given("label", "mask", "group", "backbone", "weights"):
        raise click.UsageError(f"{', '.join(refused)}: only for a folder or a table; an experiment file has keys")
    path = _train(source, every, run, folds, resume, stage_options)
    if os.environ.get("RANK", "0") == "0":
        click.echo(f"trained: {path}")


def _train_pictures(
    source: Path,
    run: Path | None,
    columns: tuple[str, str, str],
    backbone: str | None,
    weights: Path | None,
    overrides: tuple[str, ...],
    stage_options: list[str],
) -> None:
    """From a folder or table to an evaluated, exported and verified model."""
    from dermtl.data.importers.named import Columns
    from dermtl.files.atomic import refuse_used_folder, write_atomic
    from dermtl.starter.start import experiment_name, start_experiment

    folder = run or Path("runs") / experiment_name(source)
    experiment = folder / "experiment.yaml"
    refuse_used_folder(folder, hint="give another --run")
    named = Columns("", *columns)
    text = start_experiment(source, named, backbone=backbone, weights=weights)
    if overrides:
        text += f"# Trained with {shlex.join(word for override in overrides for word in ('-o', override))}\n"
    new = not folder.exists()
    write_atomic(experiment, text)
    click.echo(f"experiment: {experiment}")
    try:
        _train(experiment, overrides, folder, None, False, stage_options)
    finally:
        if not (folder / "config.yaml").exists():  # refused before it began: the next try finds the folder free
            experiment.unlink()
            if new:
                folder.rmdir()
    from dermtl.cli.evaluate import evaluate
    from dermtl.cli.export import export
    from dermtl.cli.summary import summarise

    context = click.get_current_context()
    context.invoke(evaluate, model=folder)
    context.invoke(export, run=folder)
    summarise(folder)


def _train(
    experiment: Path,
    overrides: tuple[str, ...],
    run: Path | None,
    folds: int | None,
    resume: bool,
    stage_options: list[str],
) -> Path:
    """Train an experiment file; the file and the run's folder are checked before torch is imported."""
    from dermtl.cli.extras import needs
    from dermtl.config.load import load_experiment
    from dermtl.files.atomic import refuse_used_folder
    from dermtl.plugins.plan import plan_heads

    loaded, source = load_experiment(experiment, overrides)
    if stage_options and len(loaded.training.stages) > 1:
        raise click.UsageError(
            f"{', '.join(stage_options)}: the experiment has {len(loaded.training.stages)} stages; "
            "write -o training.stages.0.epochs=5, counting stages from 0"
        )
    plan_heads(loaded, source)
    if not resume:
        hint = "give another --run, or go on with --resume"
        refuse_used_folder(run or Path("runs") / loaded.name, except_for=experiment, hint=hint)
    with needs("train"):
        from dermtl.errors import Interrupted
        from dermtl.training.folds import train_folds
        from dermtl.training.train import train as train_
    try:
        if folds is not None:
            return train_folds(experiment, overrides, num=folds, run=run, resume=resume)
        return train_(experiment, overrides, run=run, resume=resume).path
    except Interrupted as stop:
        click.echo(str(stop), err=True)
        sys.exit(stop.exit_code)
