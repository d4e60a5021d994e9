"""``dermtl data preview``."""

from pathlib import Path

import click


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, as of dermtl train.")
@click.option("--num", default=16, show_default=True, type=click.IntRange(1), help="Largest number of pictures.")
@click.option(
    "--epoch", default=1, show_default=True, type=click.IntRange(1), help="Epoch whose augmentation is shown."
)
@click.option("--out", type=click.Path(path_type=Path), default="preview.jpg", show_default=True, help="File to write.")
def preview(experiment: Path, overrides: tuple[str, ...], num: int, epoch: int, out: Path) -> None:
    """Draw training pictures as the network will be fed them: augmented, with their annotations.

    \b
    Example:
      dermtl data preview configs/demo.yaml -o data.root=data/demo --out preview.jpg
    """
    from dermtl.cli.extras import needs
    from dermtl.config.load import load_experiment

    loaded, source = load_experiment(experiment, overrides)
    with needs("train"):
        from dermtl.training.data.sheet import write_sheet
        from dermtl.training.prepare import make_examples, prepare
    examples, _ = make_examples(prepare(loaded, source), source)
    write_sheet(out, examples, num=num, epoch=epoch - 1)
    click.echo(f"written: {out}")
