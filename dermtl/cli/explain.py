"""``dermtl explain``."""

from pathlib import Path

import click

from dermtl.cli.given import given

_METHODS = ("input_gradient", "grad_cam", "integrated_gradients")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", metavar="[IMAGE]...", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--split", default="test", show_default=True, help="Without images: train, val or test.")
@click.option("--head", help="Head to explain; default: the first with classes or tags.")
@click.option("--of", help="Class, tag or node to explain; default: each picture's likeliest.")
@click.option(
    "--method", "methods", multiple=True, type=click.Choice(_METHODS), help="May be repeated. [default: all three]"
)
@click.option("--cases", type=click.IntRange(min=1), default=20, show_default=True, help="Without images: how many.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. [default: explanation/ in the run]")
def explain(
    run: Path,
    images: tuple[Path, ...],
    split: str,
    head: str | None,
    of: str | None,
    methods: tuple[str, ...],
    cases: int,
    out: Path | None,
) -> None:
    """Show where a run's network looks and where it errs, as one HTML page with PNG files.

    With images, these are explained. Without, the split's pictures with the highest loss, below a map of all its
    pictures as the network sees them. Methods that give the same maps with random weights are left out.

    \b
    Example:
      dermtl explain runs/demo
      dermtl explain runs/demo photo.jpg --of melanoma --out explained
    """
    if images and (ignored := given("split", "cases")):
        raise click.UsageError(f"{' and '.join(ignored)} choose among a split's pictures, and IMAGE names them already")
    from dermtl.cli.extras import needs

    chosen = methods or _METHODS
    with needs("train"):
        from dermtl.explain.explain import explain_pictures, explain_split
        from dermtl.explain.page import TITLES, write_explanation
        from dermtl.runs.folder import load_run

    loaded = load_run(run)
    with needs("explain"):
        if images:
            found = explain_pictures(loaded, images, chosen, head=head, of=of)
        else:
            found = explain_split(loaded, chosen, split=split, head=head, of=of, num_cases=cases)
    folder = out or run / "explanation" / (split if not images else "pictures")
    page = write_explanation(folder, found)
    for method, check in found.checks.items():
        told = "left out" if not check.passed else "shown, much alike by regions" if check.looks_alike else "shown"
        click.echo(
            f"{TITLES[method]}: rank correlation with random weights {check.pixels:.2f} by pixels, "
            f"{check.regions:.2f} by regions: {told}"
        )
    click.echo(f"page: {page}")
