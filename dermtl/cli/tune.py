"""``dermtl tune``."""

from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("space", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the search; a search that it holds is continued.",
)
@click.option("-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key in every trial.")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Number of processes that run trials."
)
@click.option("--worker", type=click.IntRange(1), hidden=True, help="Index of this process among several.")
def tune(config: Path, space: Path, out: Path, overrides: tuple[str, ...], workers: int, worker: int | None) -> None:
    """Search an experiment's keys for the best validation result.

    SPACE is a YAML file with the keys and their ranges. Trials are compared on the validation records, whose groups
    are not in training; trials that fall behind are pruned. Test records are not used.

    \b
    Example:
      dermtl tune configs/demo.yaml space.yaml --out runs/search
    """
    from dermtl.cli.extras import needs

    with needs("tune"):
        from dermtl.training.tune import Tuning, read_search
        from dermtl.training.tune import tune as tune_

    if worker is not None:
        Tuning(config, read_search(space), out, overrides).work(worker)
        return
    click.echo(f"best: {tune_(config, space, out, overrides, workers=workers)}")
