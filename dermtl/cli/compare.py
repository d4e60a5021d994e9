"""``dermtl compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dermtl.evaluation.compare.compare import Comparison


@click.command()
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Split of a run whose evaluation is compared.")
@click.option("--resamples", default=2000, show_default=True, help="Number of bootstrap resamples.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def compare(first: Path, second: Path, split: str, resamples: int, as_json: bool) -> None:
    """Say what model B gains over model A on the same records.

    A and B are folders that `dermtl evaluate` wrote, or runs. Differences are B minus A, with 95% intervals from
    resampling whole groups for both at once. McNemar's and DeLong's tests are made only where every group has one
    record. Heads with other classes of one taxonomy are compared at the nodes that both know.

    \b
    Example:
      dermtl compare runs/scratch runs/pretrained
    """
    import json

    from dermtl.evaluation.compare.compare import compare as compare_
    from dermtl.evaluation.saved_evaluation import read_saved_evaluation

    comparison = compare_(
        read_saved_evaluation(first, split), read_saved_evaluation(second, split), resamples=resamples
    )
    if as_json:
        click.echo(json.dumps(comparison.to_json(), indent=2, allow_nan=False))
    else:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    from dermtl.cli.table import show_table
    from dermtl.evaluation.formatting import number_text

    document = comparison.to_json()
    rows = [
        (head, metric, *(number_text(figure[key]) for key in ("first", "second", "difference", "low", "high")))
        for head, parts in document["heads"].items()
        for metric, figure in parts["metrics"].items()
    ]
    show_table(("head", "metric", "A", "B", "B - A", "low", "high"), rows)
    for head, parts in document["heads"].items():
        if parts["nodes"]:
            click.echo(f"\n{head}: other classes in A than in B, so compared at {', '.join(parts['nodes'])}")
        for output, test in parts["mcnemar"].items():
            click.echo(
                f"\n{output}: only A right {test['only_first']}, only B right {test['only_second']}; "
                f"McNemar p = {number_text(test['exact_p'])} exact, {number_text(test['mid_p'])} mid-p"
            )
        tests = [
            (column, *(number_text(test[key]) for key in ("difference", "low", "high", "p")))
            for column, test in parts["delong"].items()
        ]
        if tests:
            click.echo()
            show_table(("AUROC by DeLong", "B - A", "low", "high", "p"), tests)
    data = document["data"]
    click.echo(f"\n{data['records']} records of {data['groups']} groups")
    if not data["independent"]:
        click.echo("groups have several records: no test that takes records as independent was made")
    for name, heads in (("A", document["only_first"]), ("B", document["only_second"])):
        if heads:
            click.echo(f"only in {name}: {', '.join(heads)}")
