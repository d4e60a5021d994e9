"""``dermtl lr-find``."""

from pathlib import Path

import click


@click.command(name="lr-find")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as training.seed=3.")
@click.option("--stage", default=1, show_default=True, help="Number of the stage, counted from 1.")
@click.option("--steps", default=100, show_default=True, help="Largest number of batches.")
@click.option("--low", default=1e-6, show_default=True, help="First learning rate of the heads.")
@click.option("--high", default=1.0, show_default=True, help="Last learning rate of the heads.")
@click.option("--out", type=click.Path(path_type=Path), help="File for a plot: .png, .svg or .pdf.")
def lr_find(
    config: Path, overrides: tuple[str, ...], stage: int, steps: int, low: float, high: float, out: Path | None
) -> None:
    """Try rising learning rates on an experiment and suggest one.

    The weights are discarded. The suggestion is a start, not an optimum: the rate at which the loss fell fastest.

    \b
    Example:
      dermtl lr-find configs/demo.yaml --steps 60 --out rates.png
    """
    from dermtl.cli.extras import needs
    from dermtl.errors import ConfigError

    with needs("train"):
        from dermtl.training.lr_find import draw_test, find_rate

    if out is not None and out.suffix not in (".png", ".svg", ".pdf"):
        raise ConfigError(f"--out: expected .png, .svg or .pdf, got {out.name}")
    test = find_rate(config, overrides, stage=stage, steps=steps, low=low, high=high)
    if out is not None:
        draw_test(test, out)
    click.echo(f"steps: {len(test.rates)}, rates {low:g} to {test.rates[-1] if test.rates else low:.2g}")
    if test.suggested is None:
        click.echo("suggested: none, the loss did not fall; try --low, --high or more --steps")
    else:
        click.echo(f"suggested: -o training.stages.{stage - 1}.lr={test.suggested:.2g}")
