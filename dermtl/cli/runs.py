"""``dermtl runs``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dermtl.runs.listing import Estimate, RunSummary


@click.group()
def runs() -> None:
    """Show runs side by side."""


@runs.command("list")
@click.argument("folder", type=click.Path(path_type=Path), default="runs")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(folder: Path, as_json: bool) -> None:
    """List the runs in a folder, by default "runs": state, epochs and metrics.

    On validation a head's primary metric is shown after the epoch of the best weights; on test, if it was evaluated.

    \b
    Example:
      dermtl runs list runs
    """
    from dermtl.cli.table import show_table
    from dermtl.runs.listing import list_runs

    found = list_runs(folder)
    if as_json:
        click.echo(json.dumps([_plain(run) for run in found], indent=2, default=str))
        return
    if not found:
        click.echo(f"no runs in {folder}")
        return
    header = ("run", "name", "state", "epochs", "val loss", "validation", "test", "seconds", "started")
    rows = [
        (
            _line(run.path.name),
            _line(run.name),
            _line(run.state),
            str(run.epochs),
            _number(run.best_val_loss),
            ", ".join(f"{head} {_number(value)}" for head, value in run.val.items()) or "-",
            ", ".join(f"{head} {_number(run.test[head][m].value)}" for head, m in _tested(run)) or "-",
            f"{run.seconds:.0f}",
            _line(run.started) or "-",
        )
        for run in found
    ]
    show_table(header, rows)
    metrics = dict.fromkeys(f"{head} {metric}" for run in found for head, metric in run.primary.items())
    if metrics:
        click.echo(f"\nmetrics: {', '.join(metrics)}")
    _show_problems(found)


@runs.command("compare")
@click.argument("folders", metavar="RUN RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(folders: tuple[Path, ...], as_json: bool) -> None:
    """Show the keys in which the experiments of runs differ, and the metrics of each run.

    Metrics on test have 95% intervals; those of single classes are only in the JSON. Exits with 1 if a folder is no
    run, or damaged.

    \b
    Example:
      dermtl runs compare runs/demo runs/demo
    """
    from dermtl.cli.table import show_table
    from dermtl.runs.listing import differing, read_summary

    found = [read_summary(folder) for folder in folders]
    keys = differing(found)
    if as_json:
        click.echo(json.dumps({"differing": keys, "runs": [_plain(run) for run in found]}, indent=2, default=str))
    else:
        names = [_line(str(run.path)) for run in found]
        if keys:
            show_table(("setting", *names), [(_line(key), *map(_setting, row)) for key, row in keys.items()])
        else:
            click.echo("no setting differs")
        click.echo()
        show_table(("figure", *names), _figures(found))
        _show_problems(found)
    if any(run.problems for run in found):
        sys.exit(1)


def _figures(found: Sequence["RunSummary"]) -> list[tuple[str, ...]]:
    validated = dict.fromkeys((head, metric) for run in found for head, metric in run.primary.items())
    tested = dict.fromkeys((head, m) for run in found for head, of in run.test.items() for m in of if "." not in m)
    return [
        ("state", *(_line(run.state) for run in found)),
        ("epochs", *(str(run.epochs) for run in found)),
        ("seconds", *(f"{run.seconds:.0f}" for run in found)),
        ("best epoch", *(str(run.best_epoch or "-") for run in found)),
        ("val loss, best", *(_number(run.best_val_loss) for run in found)),
        ("val loss, final", *(_number(run.final_val_loss) for run in found)),
        *(
            (
                f"val {head} {metric}",
                *(_number(run.val.get(head)) if run.primary.get(head) == metric else "-" for run in found),
            )
            for head, metric in validated
        ),
        *(
            (f"test {head} {metric}", *(_interval(run.test.get(head, {}).get(metric)) for run in found))
            for head, metric in tested
        ),
    ]


def _tested(run: "RunSummary") -> list[tuple[str, str]]:
    """Head and primary metric of the heads that were evaluated."""
    return [(head, metric) for head, metric in run.primary.items() if metric in run.test.get(head, {})]


def _plain(run: "RunSummary") -> dict[str, Any]:
    plain = {name: value for name, value in vars(run).items() if name not in ("path", "test")}
    test = {head: {name: dict(metric) for name, metric in of.items()} for head, of in run.test.items()}
    return {"run": str(run.path), **plain, "test": test}


def _show_problems(found: Sequence["RunSummary"]) -> None:
    for run in found:
        for problem in run.problems:
            click.echo(f"{_line(str(run.path))}: {_line(problem)}")


def _interval(metric: "Estimate | None") -> str:
    if metric is None or metric.low is None or metric.high is None:
        return _number(metric.value if metric else None)
    return f"{_number(metric.value)} [{_number(metric.low)}, {_number(metric.high)}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _setting(value: Any) -> str:
    return "-" if value is None else _line(str(value))


def _line(text: str) -> str:
    return " ".join(text.split())
